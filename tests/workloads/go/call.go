package main

import (
	"context"
	"io"
	"log"
	"math/rand"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"
)

// A job is a request's work, to be handed over.
type job struct {
	ctx  context.Context
	id   string
	made chan struct{}
}

var (
	backend string
	client  = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}

	randomLock sync.Mutex
	random     *rand.Rand
	most       time.Duration
)

func prepare(target string) {
	backend = "http://" + target + "/work"
	random = rand.New(rand.NewSource(number("SEED", 1)))
	most = time.Duration(number("SERVICE_MS", 0)) * time.Millisecond
}

func number(name string, otherwise int64) int64 {
	value, err := strconv.ParseInt(os.Getenv(name), 10, 64)
	if err != nil {
		return otherwise
	}
	return value
}

// serviceTime draws one.
func serviceTime() time.Duration {
	randomLock.Lock()
	defer randomLock.Unlock()
	return time.Duration(random.Float64() * float64(most))
}

// call takes a service time and makes one call.
func call(ctx context.Context, id string) {
	time.Sleep(serviceTime())
	ask(ctx, id)
}

// ask makes one call.
func ask(ctx context.Context, id string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, backend, nil)
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

// work makes the call of a job, and says so.
func (j job) work() {
	call(j.ctx, j.id+".1")
	close(j.made)
}
