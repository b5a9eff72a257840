/* HTTP/1.1 as small blocking programs speak it: heads of at most HEAD_MAX bytes, requests without a body. */
#ifndef HTTP_H
#define HTTP_H

#include <stddef.h>

#define HEAD_MAX 4096
#define ID_MAX 1024

/* A blocking socket that listens on "127.0.0.1:PORT". */
int http_listen(const char *target);

/* A blocking connection to "127.0.0.1:PORT". */
int http_connect(const char *target);

/* Reads one request and copies the truth's id that it came with. 0 when the client closed instead. */
int http_request(int connection, char id[ID_MAX]);

/* Answers a request. */
void http_answer(int connection);

/* Calls over a connection and reads the whole answer. */
void http_call(int connection, const char *id);

/* One service time of up to $SERVICE_MS milliseconds, in nanoseconds, of a sequence that $SEED begins. */
long http_service_time(void);

/* Takes one. */
void http_serve(void);

/* For programs that do not block: the truth's id in a head, the head of a call, a whole answer's length as soon as its head
 * is whole, else 0, and the answer to a request. */
void http_id(const char *head, char id[ID_MAX]);
size_t http_call_head(char head[HEAD_MAX], const char *id);
size_t http_answer_length(const char *head);
extern const char http_ok[];

/* Ends the program with what failed. */
void http_fail(const char *what) __attribute__((noreturn));

#endif
