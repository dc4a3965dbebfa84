/* Accepts every DICOM association. Usage: handshake_server PORT [FIRST_ADDRESS COUNT STEP]
   Listens on every local address, or on each STEP-th of COUNT addresses from FIRST_ADDRESS on. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { EVENTS = 512, ACCEPTS = 64 };

static const double AWAKE = 0.1; /* seconds after the last event */
static char is_door[1 << 16]; /* by file descriptor */

static void listen_on(int poll, uint32_t address, int port) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (fd < 0 || fd >= (int)sizeof is_door) die("socket");
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (void *)&place, sizeof place) || listen(fd, 65535)) die("listen");
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
    is_door[fd] = 1;
}

static void answer(int fd) {
    static unsigned char in[70000], out[70000];
    ssize_t length = recv(fd, in, sizeof in, 0);
    if (length < 0 && errno == EAGAIN) return;
    if (length >= 74 && in[0] == PDU_ASSOCIATE_RQ) /* nmap's dicom-ping sends the length of its PDU the wrong way round */
        send(fd, out, accept_association(in, length, out), MSG_NOSIGNAL);
    else
        close(fd);
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 5) return 2;
    signal(SIGPIPE, SIG_IGN);
    int poll = epoll_create1(0), port = atoi(argv[1]);
    if (argc == 2) listen_on(poll, INADDR_ANY, port);
    else for (long i = 0; i < atol(argv[3]); i += atol(argv[4])) listen_on(poll, ntohl(inet_addr(argv[2])) + i, port);
    struct epoll_event event = {.events = EPOLLIN}, events[EVENTS];
    for (double last = 0;;) {
        /* Awake while it is in use: waking a server is work of the kernel that falls on the core of the client, and that
           servers elsewhere would not cause. */
        int count = epoll_wait(poll, events, EVENTS, now() - last < AWAKE ? 0 : -1);
        if (count > 0) last = now();
        for (int i = 0; i < count; i++) {
            int ready = events[i].data.fd;
            if (!is_door[ready]) {
                answer(ready);
                continue;
            }
            for (int fd, k = 0; k < ACCEPTS && (fd = accept4(ready, 0, 0, SOCK_NONBLOCK)) >= 0; k++) {
                event.data.fd = fd;
                epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
            }
        }
    }
}
