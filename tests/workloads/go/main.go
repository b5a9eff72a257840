// A net/http server whose handlers hand the work over before they call.
//
//	patterns MODE LISTEN BACKEND
//
// $SERVICE_MS is the longest service time before a call, $SEED begins their sequence.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

// A mode makes the calls of one request, given what it came with: the id of the truth.
type mode func(job)

// modes by name: each starts what it needs and gives what is done for a request.
var modes = map[string]func() mode{
	"direct":           direct,
	"goroutine":        goroutine,
	"goroutine-nested": goroutineNested,
	"fire-and-forget":  fireAndForget,
	"waitgroup":        waitGroup,
	"afterfunc":        afterFunc,
	"errgroup":         errGroup,
	"no-context":       noContext,
	"conn-pool":        connPool,
	"semaphore":        semaphore,
	"chan-buffered":    func() mode { return overValues(make(chan job, 64)) },
	"chan-unbuffered":  func() mode { return overValues(make(chan job)) },
	"chan-pointer":     overPointers,
	"select":           overSelect,
	"lazy-pool":        lazyPool,
	"cond":             overCond,
	"mutex-queue":      overMutex,
	"mutex-no-context": func() mode { return withoutContext(overMutex()) },
	"batch":            batch,
	"ants-pool":        antsPool,
	"chan-lent":        chanLent,
	"chan-answer":      chanAnswer,
	"chan-late":        chanLate,
}

func main() {
	if len(os.Args) != 4 || modes[os.Args[1]] == nil {
		log.Fatalf("usage: patterns MODE LISTEN BACKEND")
	}
	prepare(os.Args[3])
	serve := modes[os.Args[1]]()
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		serve(job{request.Context(), request.Header.Get("x-truth"), make(chan struct{})})
		fmt.Fprintln(answer, "pattern")
	})
	log.Fatal(http.ListenAndServe(os.Args[2], nil))
}
