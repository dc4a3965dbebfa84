/* The limit: one C-FIND, its fragments joined, the number of images summed and the study UID hashed, nothing built.
   Usage: find_client PORT ASSOCIATE FIND   (both are files with the bytes to send) */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { BUFFER = 1 << 21, MESSAGE = 1 << 16 };

static long answers, images;
static uint64_t mixed;
static int final;

static uint64_t hash(const unsigned char *from, size_t length) {
    uint64_t h = 14695981039346656037u;
    while (length--) h = (h ^ *from++) * 1099511628211u;
    return h;
}

static void command(const unsigned char *p, const unsigned char *end) {
    for (; p + 10 <= end; p += 8 + le32(p + 4))
        if (le16(p + 2) == 0x900 && (le16(p + 8) & 0xff00) != 0xff00) final = 1;
}

static void identifier(const unsigned char *p, const unsigned char *end) {
    answers++;
    for (; p + 8 <= end; p += 8 + le32(p + 4)) {
        uint32_t tag = le16(p) << 16 | le16(p + 2), length = le32(p + 4);
        if (tag == 0x0020000d) mixed ^= hash(p + 8, length);
        if (tag != 0x00201208) continue;
        long number = 0;
        for (uint32_t i = 0; i < length && p[8 + i] >= '0' && p[8 + i] <= '9'; i++) number = number * 10 + p[8 + i] - '0';
        images += number;
    }
}

static void take(const unsigned char *p, const unsigned char *end) {
    static unsigned char joined[MESSAGE];
    static size_t held;
    for (; p + 6 <= end; p += 4 + be32(p)) {
        const unsigned char *from = p + 6, *to = p + 4 + be32(p);
        if (held || !(p[5] & 2)) {
            if (held + (to - from) > MESSAGE) die("message");
            memcpy(joined + held, from, to - from);
            held += to - from;
            if (!(p[5] & 2)) continue;
            from = joined;
            to = joined + held;
            held = 0;
        }
        if (p[5] & 1) command(from, to); else identifier(from, to);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    static unsigned char request[4096], in[BUFFER];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (void *)&place, sizeof place)) die("connect");
    send(fd, request, read_file(argv[2], request, sizeof request), 0);
    if (recv(fd, in, sizeof in, 0) < 6 || in[0] != PDU_ASSOCIATE_AC) return 1;
    double start = now();
    send(fd, request, read_file(argv[3], request, sizeof request), 0);
    size_t held = 0;
    for (ssize_t n; !final && (n = recv(fd, in + held, sizeof in - held, 0)) > 0;) {
        size_t position = 0;
        for (held += n; held - position >= 6 && held - position >= 6 + be32(in + position + 2);) {
            take(in + position + 6, in + position + 6 + be32(in + position + 2));
            position += 6 + be32(in + position + 2);
        }
        memmove(in, in + position, held - position);
        held -= position;
    }
    double seconds = now() - start;
    printf("{\"done\": %ld, \"images\": %ld, \"seconds\": %.6f, \"cpu\": %.3f, \"check\": %lu}\n", answers, images, seconds,
           cpu_seconds(), (unsigned long)mixed);
    return 0;
}
