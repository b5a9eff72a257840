// A net/http server whose handlers hand the work over before they call.
//
//	patterns MODE LISTEN BACKEND
//
// $SERVICE_MS is the longest service time before a call, $SEED begins their sequence.
package main

import (
	"fmt"
	"io"
	"log"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// Modes by name: each makes the calls of one request, given the id of the truth that it came with.
var modes = map[string]func(id string){
	"direct": func(id string) { call(id + ".1") },
}

var (
	backend string
	client  = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

	randomLock sync.Mutex
	random     *rand.Rand
	most       time.Duration
)

// serve takes one service time.
func serve() {
	randomLock.Lock()
	share := random.Float64()
	randomLock.Unlock()
	time.Sleep(time.Duration(share * float64(most)))
}

// call takes a service time and makes one call.
func call(id string) {
	serve()
	request, err := http.NewRequest(http.MethodGet, "http://"+backend+"/work", nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set("x-truth", id)
	answer, err := client.Do(request)
	if err != nil {
		log.Fatal(err)
	}
	// Read to its end, so that the connection goes back to the pool.
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		log.Fatal(err)
	}
	answer.Body.Close()
}

func number(name string, otherwise int64) int64 {
	value, err := strconv.ParseInt(os.Getenv(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return value
}

func main() {
	if len(os.Args) != 4 || modes[os.Args[1]] == nil {
		log.Fatalf("usage: patterns MODE LISTEN BACKEND")
	}
	mode := modes[os.Args[1]]
	backend = os.Args[3]
	random = rand.New(rand.NewSource(number("SEED", 1)))
	most = time.Duration(number("SERVICE_MS", 0)) * time.Millisecond
	http.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		mode(request.Header.Get("x-truth"))
		fmt.Fprintln(answer, "pattern")
	})
	log.Fatal(http.ListenAndServe(os.Args[2], nil))
}
