/* `epoll-multi LISTEN BACKEND`: four threads, each with an epoll of its own that serves many connections at a time without
 * blocking: a request waits for its service time, and is called for over any idle connection of its thread. */
#define _GNU_SOURCE
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define THREADS 4
#define EVENTS 64

/* A connection of a client, or one to the backend. */
struct connection {
	int sock;
	int to_backend;
	char bytes[HEAD_MAX];
	size_t length;
	char id[ID_MAX + 2];
	/* A client's: when its call is due. */
	long long due;
	/* The backend's: whom it is called for. */
	struct connection *client;
	/* In the list of clients that wait, or of idle connections to the backend. */
	struct connection *next;
};

struct thread {
	int epoll, listener;
	struct connection *waiting, *idle;
};

static const char *target, *backend;

static long long now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static struct connection *add(struct thread *thread, int sock, int to_backend)
{
	struct connection *connection = calloc(1, sizeof *connection);
	if (!connection)
		http_fail("calloc");
	connection->sock = sock;
	connection->to_backend = to_backend;
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
	if (epoll_ctl(thread->epoll, EPOLL_CTL_ADD, sock, &event))
		http_fail("epoll_ctl");
	return connection;
}

/* Small enough for any socket's buffer. */
static void send_whole(int sock, const char *bytes, size_t length)
{
	if (send(sock, bytes, length, MSG_NOSIGNAL) != (ssize_t)length)
		http_fail("send");
}

static void call(struct thread *thread, struct connection *client)
{
	struct connection *connection = thread->idle;
	if (connection) {
		thread->idle = connection->next;
	} else {
		int sock = http_connect(backend);
		fcntl(sock, F_SETFL, O_NONBLOCK);
		connection = add(thread, sock, 1);
	}
	connection->client = client;
	char head[HEAD_MAX];
	send_whole(connection->sock, head, http_call_head(head, client->id));
}

static void call_what_is_due(struct thread *thread)
{
	long long time = now();
	struct connection **link = &thread->waiting;
	while (*link) {
		struct connection *client = *link;
		if (client->due > time) {
			link = &client->next;
			continue;
		}
		*link = client->next;
		call(thread, client);
	}
}

static void from_client(struct thread *thread, struct connection *client)
{
	if (!strstr(client->bytes, "\r\n\r\n"))
		return;
	char id[ID_MAX];
	http_id(client->bytes, id);
	snprintf(client->id, sizeof client->id, "%s.1", id);
	client->length = 0;
	client->due = now() + http_service_time();
	client->next = thread->waiting;
	thread->waiting = client;
}

static void from_backend(struct thread *thread, struct connection *connection)
{
	size_t whole = http_answer_length(connection->bytes);
	if (!whole || connection->length < whole)
		return;
	send_whole(connection->client->sock, http_ok, strlen(http_ok));
	connection->length = 0;
	connection->next = thread->idle;
	thread->idle = connection;
}

static void readable(struct thread *thread, struct connection *connection)
{
	size_t room = HEAD_MAX - 1 - connection->length;
	ssize_t count = recv(connection->sock, connection->bytes + connection->length, room, 0);
	if (count < 0 && errno == EAGAIN)
		return;
	if (count <= 0) {
		/* A client that waits for its call does not leave. */
		close(connection->sock);
		free(connection);
		return;
	}
	connection->length += (size_t)count;
	connection->bytes[connection->length] = 0;
	connection->to_backend ? from_backend(thread, connection) : from_client(thread, connection);
}

static void *serve(void *argument)
{
	(void)argument;
	struct thread thread = {.epoll = epoll_create1(0), .listener = http_listen(target)};
	struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
	fcntl(thread.listener, F_SETFL, O_NONBLOCK);
	if (epoll_ctl(thread.epoll, EPOLL_CTL_ADD, thread.listener, &listening))
		http_fail("epoll_ctl");
	for (;;) {
		struct epoll_event events[EVENTS];
		int count = epoll_wait(thread.epoll, events, EVENTS, thread.waiting ? 1 : -1);
		for (int number = 0; number < count; number++) {
			if (events[number].data.ptr) {
				readable(&thread, events[number].data.ptr);
				continue;
			}
			int sock = accept4(thread.listener, NULL, NULL, SOCK_NONBLOCK);
			if (sock >= 0)
				add(&thread, sock, 0);
		}
		call_what_is_due(&thread);
	}
	return NULL;
}

int main(int count, char **arguments)
{
	if (count != 3) {
		fprintf(stderr, "usage: %s LISTEN BACKEND\n", arguments[0]);
		return 2;
	}
	target = arguments[1];
	backend = arguments[2];
	pthread_t threads[THREADS];
	for (int number = 0; number < THREADS; number++)
		if (pthread_create(&threads[number], NULL, serve, NULL))
			http_fail("pthread_create");
	for (int number = 0; number < THREADS; number++)
		pthread_join(threads[number], NULL);
}
