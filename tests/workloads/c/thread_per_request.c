/* `thread-per-request LISTEN BACKEND`: a thread reads the requests of a connection, and starts another one for each, which
 * calls over a connection of its own and ends. */
#include "http.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *backend;

static void *work(void *argument)
{
	char id[ID_MAX + 2];
	snprintf(id, sizeof id, "%s.1", (const char *)argument);
	http_serve();
	int connection = http_connect(backend);
	http_call(connection, id);
	close(connection);
	return NULL;
}

static void *serve(void *argument)
{
	int connection = (int)(intptr_t)argument;
	char id[ID_MAX];
	while (http_request(connection, id)) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, work, id))
			http_fail("pthread_create");
		pthread_join(thread, NULL);
		http_answer(connection);
	}
	close(connection);
	return NULL;
}

int main(int count, char **arguments)
{
	if (count != 3) {
		fprintf(stderr, "usage: %s LISTEN BACKEND\n", arguments[0]);
		return 2;
	}
	backend = arguments[2];
	int listener = http_listen(arguments[1]);
	for (;;) {
		int connection = accept(listener, NULL, NULL);
		if (connection < 0)
			http_fail("accept");
		pthread_t thread;
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection))
			http_fail("pthread_create");
		pthread_detach(thread);
	}
}
