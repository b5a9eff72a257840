package main

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// The goroutine that read the request calls.
func direct() mode {
	return func(j job) { call(j.ctx, j.id+".1") }
}

// One of its own calls, and is waited for.
func goroutine() mode {
	return func(j job) {
		go j.work()
		<-j.made
	}
}

// The third of three, each started by the one before.
func goroutineNested() mode {
	return func(j job) {
		go func() { go func() { go j.work() }() }()
		<-j.made
	}
}

// One that calls behind the answer, without the request's context, which ends with it.
func fireAndForget() mode {
	return func(j job) { go call(context.WithoutCancel(j.ctx), j.id+".1") }
}

// Three at a time.
func waitGroup() mode {
	return func(j job) {
		var group sync.WaitGroup
		for part := 1; part <= 3; part++ {
			part := part
			group.Add(1)
			go func() {
				defer group.Done()
				call(j.ctx, j.id+"."+strconv.Itoa(part))
			}()
		}
		group.Wait()
	}
}

// Two at a time.
func errGroup() mode {
	return func(j job) {
		group, ctx := errgroup.WithContext(j.ctx)
		for part := 1; part <= 2; part++ {
			part := part
			group.Go(func() error {
				call(ctx, j.id+"."+strconv.Itoa(part))
				return nil
			})
		}
		_ = group.Wait()
	}
}

// A timer's function calls.
func afterFunc() mode {
	return func(j job) {
		time.AfterFunc(serviceTime(), func() {
			ask(j.ctx, j.id+".1")
			close(j.made)
		})
		<-j.made
	}
}

// A goroutine of its own calls, without the request's context.
func noContext() mode {
	return func(j job) {
		j.ctx = context.Background()
		go j.work()
		<-j.made
	}
}

// Calls wait for one of eight connections.
func connPool() mode {
	client.Transport = &http.Transport{MaxIdleConnsPerHost: 8, MaxConnsPerHost: 8}
	return direct()
}

// A goroutine of its own calls when it has one of 16 tokens.
func semaphore() mode {
	tokens := make(chan struct{}, 16)
	return func(j job) {
		go func() {
			tokens <- struct{}{}
			defer func() { <-tokens }()
			j.work()
		}()
		<-j.made
	}
}
