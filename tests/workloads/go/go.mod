module tracemend.example/patterns

go 1.19
