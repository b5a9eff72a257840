module tracemend.example/patterns

go 1.24

require golang.org/x/sync v0.10.0
