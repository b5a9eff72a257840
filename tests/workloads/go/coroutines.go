//go:build go1.23

package main

import (
	"iter"
	"sync"
)

func init() { modes["coroutine"] = coroutine }

// One of the coroutines calls that were there before: whoever takes one gives it a job and resumes it.
func coroutine() mode {
	type resumed struct {
		j    job
		next func() (struct{}, bool)
	}
	var idle sync.Pool
	idle.New = func() any {
		one := &resumed{}
		made := make(chan struct{})
		go func() {
			one.next, _ = iter.Pull(func(yield func(struct{}) bool) {
				for yield(struct{}{}) {
					call(one.j.ctx, one.j.id+".1")
				}
			})
			one.next()
			close(made)
		}()
		<-made
		return one
	}
	return func(j job) {
		one := idle.Get().(*resumed)
		one.j = j
		one.next()
		idle.Put(one)
	}
}
