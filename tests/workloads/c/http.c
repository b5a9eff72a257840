#define _GNU_SOURCE
#include "http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void http_fail(const char *what)
{
	perror(what);
	exit(1);
}

static struct sockaddr_in address(const char *target)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	const char *colon = strrchr(target, ':');
	if (!colon) {
		fprintf(stderr, "not HOST:PORT: %s\n", target);
		exit(2);
	}
	address.sin_port = htons((unsigned short)atoi(colon + 1));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static int tcp(void)
{
	int sock = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	if (sock < 0 || setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes))
		http_fail("socket");
	return sock;
}

int http_listen(const char *target)
{
	struct sockaddr_in where = address(target);
	int sock = tcp(), yes = 1;
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	setsockopt(sock, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
	if (bind(sock, (struct sockaddr *)&where, sizeof where) || listen(sock, 1024))
		http_fail("listen");
	return sock;
}

int http_connect(const char *target)
{
	struct sockaddr_in where = address(target);
	int sock = tcp();
	if (connect(sock, (struct sockaddr *)&where, sizeof where))
		http_fail("connect");
	return sock;
}

static void send_all(int sock, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(sock, bytes, length, MSG_NOSIGNAL);
		if (sent <= 0)
			http_fail("send");
		bytes += sent;
		length -= (size_t)sent;
	}
}

/* Reads up to the end of a head, and whatever came with it; gives the length of all. 0 at the end of the stream. */
static size_t read_head(int sock, char head[HEAD_MAX])
{
	size_t length = 0;
	for (;;) {
		ssize_t count = recv(sock, head + length, HEAD_MAX - 1 - length, 0);
		if (count <= 0) {
			if (length > 0)
				http_fail("half a head");
			return 0;
		}
		length += (size_t)count;
		head[length] = 0;
		if (strstr(head, "\r\n\r\n"))
			return length;
		if (length == HEAD_MAX - 1) {
			fprintf(stderr, "a head of more than %d bytes\n", HEAD_MAX);
			exit(1);
		}
	}
}

int http_request(int connection, char id[ID_MAX])
{
	char head[HEAD_MAX];
	if (!read_head(connection, head))
		return 0;
	http_id(head, id);
	return 1;
}

void http_id(const char *head, char id[ID_MAX])
{
	const char *field = strcasestr(head, "\r\nx-truth:");
	id[0] = 0;
	if (field)
		sscanf(field + 10, " %1023[^\r]", id);
}

const char http_ok[] = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npattern\n";

void http_answer(int connection)
{
	send_all(connection, http_ok, strlen(http_ok));
}

size_t http_call_head(char head[HEAD_MAX], const char *id)
{
	return (size_t)snprintf(head, HEAD_MAX, "GET /work HTTP/1.1\r\nhost: backend\r\nx-truth: %s\r\n\r\n", id);
}

size_t http_answer_length(const char *head)
{
	const char *end = strstr(head, "\r\n\r\n");
	const char *field = strcasestr(head, "\r\ncontent-length:");
	return end && field ? (size_t)(end + 4 - head) + strtoul(field + 17, NULL, 10) : 0;
}

void http_call(int connection, const char *id)
{
	char head[HEAD_MAX];
	send_all(connection, head, http_call_head(head, id));
	size_t got = read_head(connection, head);
	size_t whole = got ? http_answer_length(head) : 0;
	if (!whole)
		http_fail("an answer with a length");
	while (got < whole) {
		char rest[4096];
		ssize_t count = recv(connection, rest, sizeof rest, 0);
		if (count <= 0)
			http_fail("half a body");
		got += (size_t)count;
	}
}

static unsigned long long number(const char *name, unsigned long long otherwise)
{
	const char *value = getenv(name);
	return value ? strtoull(value, NULL, 10) : otherwise;
}

long http_service_time(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static unsigned long long state;
	/* SplitMix64. */
	pthread_mutex_lock(&lock);
	if (!state)
		state = number("SEED", 1) * 2 + 1;
	unsigned long long mixed = state += 0x9e3779b97f4a7c15;
	pthread_mutex_unlock(&lock);
	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
	mixed ^= mixed >> 31;
	unsigned long long most = number("SERVICE_MS", 0) * 1000000;
	return most ? (long)(mixed % most) : 0;
}

void http_serve(void)
{
	long nanoseconds = http_service_time();
	struct timespec pause = {nanoseconds / 1000000000, nanoseconds % 1000000000};
	nanosleep(&pause, NULL);
}
