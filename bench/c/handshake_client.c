/* The limit: connect, request an association, read the answer, say farewell, close; one epoll loop, one core.
   Usage: handshake_client FIRST_ADDRESS TARGETS SOCKETS PORT TIMEOUT_MS REQUEST FAREWELL SPARING
   REQUEST and FAREWELL are files. SPARING 1: acknowledgements ride on the request (TCP_QUICKACK 0), as Lead Apron does. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { EVENTS = 1024, BURST = 64 };

typedef struct {
    int fd, connected, before, after; /* neighbours in the order of deadlines */
    double since;
} Visit;

static Visit *visits;
static int *spare, spares, oldest = -1, newest = -1;
static long done, accepted, refused, timeouts, others;

static void finish(int k) {
    Visit *v = &visits[k];
    close(v->fd);
    if (v->before >= 0) visits[v->before].after = v->after; else oldest = v->after;
    if (v->after >= 0) visits[v->after].before = v->before; else newest = v->before;
    spare[spares++] = k;
    done++;
}

int main(int argc, char **argv) {
    if (argc != 9) return 2;
    uint32_t first = ntohl(inet_addr(argv[1]));
    long targets = atol(argv[2]), begun = 0;
    int sockets = atoi(argv[3]), port = atoi(argv[4]), sparing = atoi(argv[8]), zero = 0;
    double timeout = atoi(argv[5]) / 1e3;
    static unsigned char request[4096], farewell[64], answer[4096];
    size_t request_length = read_file(argv[6], request, sizeof request);
    size_t farewell_length = read_file(argv[7], farewell, sizeof farewell);
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    int poll = epoll_create1(0);
    visits = calloc(sockets, sizeof *visits);
    spare = calloc(sockets, sizeof *spare);
    for (int i = sockets - 1; i >= 0; i--) spare[spares++] = i;
    double start = now();
    while (done < targets) {
        double time = now();
        for (int burst = 0; spares && begun < targets && burst < BURST; burst++, begun++) {
            struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port)};
            place.sin_addr.s_addr = htonl(first + (uint32_t)begun);
            int k = spare[--spares], fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            if (fd < 0) die("socket");
            if (sparing) setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &zero, sizeof zero);
            visits[k] = (Visit){.fd = fd, .since = time, .before = newest, .after = -1};
            if (newest >= 0) visits[newest].after = k; else oldest = k;
            newest = k;
            if (connect(fd, (void *)&place, sizeof place) && errno != EINPROGRESS) {
                if (errno == ECONNREFUSED) refused++; else others++;
                finish(k);
                continue;
            }
            event.data.u32 = k;
            epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
        }
        int count = epoll_wait(poll, events, EVENTS, spares && begun < targets ? 0 : 20);
        for (int i = 0; i < count; i++) {
            int k = events[i].data.u32, error = 0;
            socklen_t size = sizeof error;
            if (!visits[k].connected) {
                if (events[i].events & (EPOLLERR | EPOLLHUP)) {
                    getsockopt(visits[k].fd, SOL_SOCKET, SO_ERROR, &error, &size);
                    if (error == ECONNREFUSED) refused++; else others++;
                    finish(k);
                    continue;
                }
                visits[k].connected = 1;
                send(visits[k].fd, request, request_length, MSG_NOSIGNAL);
            }
            if (!(events[i].events & EPOLLIN)) continue;
            ssize_t length = recv(visits[k].fd, answer, sizeof answer, 0);
            if (length < 0 && errno == EAGAIN) continue;
            if (length > 6 && answer[0] == PDU_ASSOCIATE_AC) accepted++; else others++;
            if (farewell_length) send(visits[k].fd, farewell, farewell_length, MSG_NOSIGNAL | MSG_MORE);
            finish(k);
        }
        for (time = now(); oldest >= 0 && time - visits[oldest].since > timeout; timeouts++) finish(oldest);
    }
    double seconds = now() - start;
    printf("{\"done\": %ld, \"accepted\": %ld, \"refused\": %ld, \"timeouts\": %ld, \"others\": %ld, \"seconds\": %.6f, "
           "\"cpu\": %.3f}\n", targets, accepted, refused, timeouts, others, seconds, cpu_seconds());
    return 0;
}
