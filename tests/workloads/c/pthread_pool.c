/* `pthread-pool LISTEN BACKEND`: a thread reads the requests of a connection, and puts each in a queue behind a mutex and a
 * condition; one of 16 threads that were there before takes it and calls over a connection that it keeps. */
#include "http.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define WORKERS 16

struct job {
	char id[ID_MAX + 2];
	sem_t made;
	struct job *next;
};

static const char *backend;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct job *first, **last = &first;

static void put(struct job *job)
{
	job->next = NULL;
	pthread_mutex_lock(&lock);
	*last = job;
	last = &job->next;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

static struct job *take(void)
{
	pthread_mutex_lock(&lock);
	while (!first)
		pthread_cond_wait(&more, &lock);
	struct job *job = first;
	first = job->next;
	if (!first)
		last = &first;
	pthread_mutex_unlock(&lock);
	return job;
}

static void *work(void *argument)
{
	(void)argument;
	int connection = -1;
	for (;;) {
		struct job *job = take();
		http_serve();
		if (connection < 0)
			connection = http_connect(backend);
		http_call(connection, job->id);
		sem_post(&job->made);
	}
	return NULL;
}

static void *serve(void *argument)
{
	int connection = (int)(intptr_t)argument;
	char id[ID_MAX];
	struct job job;
	sem_init(&job.made, 0, 0);
	while (http_request(connection, id)) {
		snprintf(job.id, sizeof job.id, "%s.1", id);
		put(&job);
		sem_wait(&job.made);
		http_answer(connection);
	}
	close(connection);
	return NULL;
}

static void start(void *(*thread)(void *), void *argument)
{
	pthread_t id;
	if (pthread_create(&id, NULL, thread, argument))
		http_fail("pthread_create");
	pthread_detach(id);
}

int main(int count, char **arguments)
{
	if (count != 3) {
		fprintf(stderr, "usage: %s LISTEN BACKEND\n", arguments[0]);
		return 2;
	}
	backend = arguments[2];
	for (int number = 0; number < WORKERS; number++)
		start(work, NULL);
	int listener = http_listen(arguments[1]);
	for (;;) {
		int connection = accept(listener, NULL, NULL);
		if (connection < 0)
			http_fail("accept");
		start(serve, (void *)(intptr_t)connection);
	}
}
