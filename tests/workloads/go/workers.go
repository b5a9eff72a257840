package main

import (
	"context"
	"log"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/panjf2000/ants/v2"
)

// workers take jobs.
const workers = 16

// Workers that were there before take jobs out of a channel.
func overValues(jobs chan job) mode {
	for i := 0; i < workers; i++ {
		go func() {
			for j := range jobs {
				j.work()
			}
		}()
	}
	return put(jobs)
}

// Each request's own goroutine calls, until one comes whose work is to be queued.
func chanLate() mode {
	queued, alone := overValues(make(chan job, 64)), direct()
	return func(j job) {
		if strings.HasPrefix(j.id, "queued") {
			queued(j)
		} else {
			alone(j)
		}
	}
}

func put(jobs chan job) mode {
	return func(j job) {
		jobs <- j
		<-j.made
	}
}

// The same with pointers to jobs.
func overPointers() mode {
	jobs := make(chan *job, 64)
	for i := 0; i < workers; i++ {
		go func() {
			for j := range jobs {
				j.work()
			}
		}()
	}
	return func(j job) {
		jobs <- &j
		<-j.made
	}
}

// Workers take from one of two channels, and look at a clock now and then.
func overSelect() mode {
	odd, even := make(chan job), make(chan job, 64)
	for i := 0; i < workers; i++ {
		go func() {
			clock := time.NewTicker(50 * time.Millisecond)
			for {
				select {
				case j := <-odd:
					j.work()
				case j := <-even:
					j.work()
				case <-clock.C:
				}
			}
		}()
	}
	return func(j job) {
		if strings.HasSuffix(j.id, "1") || strings.HasSuffix(j.id, "3") {
			odd <- j
		} else {
			even <- j
		}
		<-j.made
	}
}

// Workers are started by the requests that find too few, and stay.
func lazyPool() mode {
	jobs := make(chan job, 64)
	var lock sync.Mutex
	started := 0
	return func(j job) {
		lock.Lock()
		if started < workers {
			started++
			go func() {
				for j := range jobs {
					j.work()
				}
			}()
		}
		lock.Unlock()
		jobs <- j
		<-j.made
	}
}

// A goroutine of each request borrows one of eight connections out of a channel, and gives it back.
func chanLent() mode {
	type connection struct{ used *int }
	idle := make(chan *connection, 8)
	for i := 0; i < cap(idle); i++ {
		idle <- &connection{new(int)}
	}
	return func(j job) {
		go func() {
			one := <-idle
			*one.used++
			call(j.ctx, j.id+".1")
			idle <- one
			close(j.made)
		}()
		<-j.made
	}
}

// Workers ask a goroutine that serves them all before they call.
func chanAnswer() mode {
	type question struct {
		id     string
		answer chan *string
	}
	questions := make(chan question)
	go func() {
		for q := range questions {
			answer := strings.Clone(q.id)
			q.answer <- &answer
		}
	}()
	jobs := make(chan job, 64)
	for i := 0; i < workers; i++ {
		go func() {
			for j := range jobs {
				q := question{j.id, make(chan *string, 1)}
				questions <- q
				j.id = *<-q.answer
				j.work()
			}
		}()
	}
	return put(jobs)
}

// A pool's workers take functions, each out of a channel of its own; requests start them, up to as many as there may be.
func antsPool() mode {
	pool, err := ants.NewPool(workers)
	if err != nil {
		log.Fatal(err)
	}
	return func(j job) {
		if err := pool.Submit(j.work); err != nil {
			log.Fatal(err)
		}
		<-j.made
	}
}

// Workers wait for a condition.
func overCond() mode {
	var lock sync.Mutex
	more := sync.NewCond(&lock)
	var jobs []job
	for i := 0; i < workers; i++ {
		go func() {
			for {
				lock.Lock()
				for len(jobs) == 0 {
					more.Wait()
				}
				j := jobs[0]
				jobs = jobs[1:]
				lock.Unlock()
				j.work()
			}
		}()
	}
	return func(j job) {
		lock.Lock()
		jobs = append(jobs, j)
		lock.Unlock()
		more.Signal()
		<-j.made
	}
}

// Workers take a token out of a channel, and then a job out of a slice.
func overMutex() mode {
	var lock sync.Mutex
	var jobs []job
	tokens := make(chan struct{}, 1024)
	for i := 0; i < workers; i++ {
		go func() {
			for range tokens {
				lock.Lock()
				j := jobs[0]
				jobs = jobs[1:]
				lock.Unlock()
				j.work()
			}
		}()
	}
	return func(j job) {
		lock.Lock()
		jobs = append(jobs, j)
		lock.Unlock()
		tokens <- struct{}{}
		<-j.made
	}
}

// The same, without the request's context.
func withoutContext(serve mode) mode {
	return func(j job) {
		j.ctx = context.Background()
		serve(j)
	}
}

// together makes so many jobs' call at most.
const together = 4

// One call is made for all the requests that came within 10 ms.
func batch() mode {
	jobs := make(chan job)
	go func() {
		for number := 0; ; number++ {
			batch := []job{<-jobs}
			full := time.After(10 * time.Millisecond)
		collect:
			for len(batch) < together {
				select {
				case j := <-jobs:
					batch = append(batch, j)
				case <-full:
					break collect
				}
			}
			go callFor(batch, number)
		}
	}()
	return put(jobs)
}

func callFor(batch []job, number int) {
	causes := make([]string, len(batch))
	for at, j := range batch {
		causes[at] = j.id
	}
	call(context.Background(), strings.Join(causes, "+")+"."+strconv.Itoa(number))
	for _, j := range batch {
		close(j.made)
	}
}
