/* Answers every C-FIND with ANSWERS made-up studies, encoded beforehand. Usage: find_server PORT ANSWERS FRAGMENT
   FRAGMENT 0: a PDU for the command and one for the identifier, as DCMTK sends them. Else the identifier is cut into PDUs
   of at most FRAGMENT bytes. Binds 127.0.0.1; one association at a time. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common.h"

enum { CONTEXT_IDS = 256, ENCODED_ANSWER = 1024, BUFFER = 200000 };

static long answers;
static size_t fragment;
static struct { unsigned char *bytes; size_t length; unsigned message_id; } streams[CONTEXT_IDS];

static unsigned char *element(unsigned char *p, unsigned group, unsigned number, const void *value, size_t length, char pad) {
    size_t even = (length + 1) & ~(size_t)1;
    put_le16(p, group);
    put_le16(p + 2, number);
    put_le32(p + 4, even);
    memcpy(p + 8, value, length);
    if (even > length) p[8 + length] = pad;
    return p + 8 + even;
}

static unsigned char *text(unsigned char *p, unsigned group, unsigned number, const char *value) {
    return element(p, group, number, value, strlen(value), group == 0x20 && number == 0x0d ? 0 : ' ');
}

static unsigned char *us(unsigned char *p, unsigned number, unsigned value) {
    unsigned char bytes[2];
    put_le16(bytes, value);
    return element(p, 0, number, bytes, 2, 0);
}

/* C-FIND-RSP (PS3.7 9.3.2.2). */
static unsigned char *command(unsigned char *p, unsigned message_id, unsigned status, unsigned data_set_type) {
    unsigned char *begin = p, zero[4] = {0};
    p = element(p, 0, 0, zero, 4, 0);
    p = element(p, 0, 2, "1.2.840.10008.5.1.4.1.2.2.1", 27, 0);
    p = us(p, 0x100, 0x8020);
    p = us(p, 0x120, message_id);
    p = us(p, 0x800, data_set_type);
    p = us(p, 0x900, status);
    put_le32(begin + 8, p - begin - 12);
    return p;
}

static unsigned char *study(unsigned char *p, long i) {
    static const char *modalities[] = {"CT", "MR", "US", "CR", "DX", "CT\\SR", "MG", "XA", "PT\\CT", "NM"};
    char value[80];
    snprintf(value, sizeof value, "2024%02ld%02ld", i % 12 + 1, i % 28 + 1);
    p = text(p, 0x08, 0x20, value);
    p = text(p, 0x08, 0x30, "101530");
    snprintf(value, sizeof value, "SYN%07ld", i);
    p = text(p, 0x08, 0x50, value);
    p = text(p, 0x08, 0x52, "STUDY");
    p = text(p, 0x08, 0x54, "BENCH");
    p = text(p, 0x08, 0x61, modalities[i % 10]);
    snprintf(value, sizeof value, "1.2.826.0.1.3680043.9.9999.77.%ld.%ld", i / 1000 + 1, i % 1000 + 1);
    p = text(p, 0x20, 0x0d, value);
    snprintf(value, sizeof value, "%ld", i % 9 + 1);
    p = text(p, 0x20, 0x1206, value);
    snprintf(value, sizeof value, "%ld", i * 7919 % 1500 + 1);
    return text(p, 0x20, 0x1208, value);
}

/* One P-DATA-TF with one value (PS3.8 9.3.5). */
static unsigned char *pdu(unsigned char *p, unsigned context_id, unsigned flags, const unsigned char *data, size_t length) {
    p[0] = PDU_DATA;
    p[1] = 0;
    put_be32(p + 2, length + 6);
    put_be32(p + 6, length + 2);
    p[10] = context_id;
    p[11] = flags;
    memcpy(p + 12, data, length);
    return p + 12 + length;
}

static void encode(unsigned context_id, unsigned message_id) {
    unsigned char *p = streams[context_id].bytes, buffer[512], *end;
    if (!p && !(p = malloc(answers * ENCODED_ANSWER + 4096))) die("malloc");
    streams[context_id].bytes = p;
    for (long i = 0; i < answers; i++) {
        end = command(buffer, message_id, 0xff00, 1);
        p = pdu(p, context_id, 3, buffer, end - buffer);
        end = study(buffer, i);
        for (unsigned char *from = buffer; from < end;) {
            size_t length = end - from;
            if (fragment && length > fragment) length = fragment;
            p = pdu(p, context_id, from + length == end ? 2 : 0, from, length);
            from += length;
        }
    }
    end = command(buffer, message_id, 0, 0x101);
    p = pdu(p, context_id, 3, buffer, end - buffer);
    streams[context_id].length = p - streams[context_id].bytes;
    streams[context_id].message_id = message_id;
}

static void stream(int fd, unsigned context_id, unsigned message_id) {
    if (!streams[context_id].bytes || streams[context_id].message_id != message_id) encode(context_id, message_id);
    for (size_t sent = 0; sent < streams[context_id].length;) {
        size_t length = streams[context_id].length - sent;
        ssize_t n = send(fd, streams[context_id].bytes + sent, length < 1 << 20 ? length : 1 << 20, MSG_NOSIGNAL);
        if (n <= 0) return;
        sent += n;
    }
}

static unsigned message_id_of(const unsigned char *from, const unsigned char *end) {
    for (; from + 10 <= end; from += 8 + le32(from + 4))
        if (le16(from) == 0 && le16(from + 2) == 0x110) return le16(from + 8);
    return 1;
}

/* Handle one PDU; 0 when the association is over. */
static int handle(int fd, const unsigned char *in, size_t length) {
    static unsigned char out[70000];
    static unsigned message_id;
    if (in[0] == PDU_ASSOCIATE_RQ) send(fd, out, accept_association(in, length, out), MSG_NOSIGNAL);
    else if (in[0] == PDU_RELEASE_RQ) send(fd, (unsigned char[10]){PDU_RELEASE_RP, 0, 0, 0, 0, 4}, 10, MSG_NOSIGNAL);
    else if (in[0] != PDU_DATA) return 0;
    else for (const unsigned char *p = in + 6; p + 6 <= in + length; p += 4 + be32(p)) {
        if (p[5] & 1) message_id = message_id_of(p + 6, p + 4 + be32(p));
        else if (p[5] & 2) stream(fd, p[4], message_id);
    }
    return 1;
}

static void serve(int fd) {
    static unsigned char in[BUFFER];
    size_t held = 0;
    for (ssize_t n; (n = recv(fd, in + held, sizeof in - held, 0)) > 0;) {
        size_t position = 0;
        held += n;
        while (held - position >= 6 && held - position >= 6 + be32(in + position + 2)) {
            if (!handle(fd, in + position, 6 + be32(in + position + 2))) return;
            position += 6 + be32(in + position + 2);
        }
        memmove(in, in + position, held - position);
        held -= position;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    signal(SIGPIPE, SIG_IGN);
    answers = atol(argv[2]);
    fragment = atol(argv[3]);
    int one = 1, door = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(door, (void *)&place, sizeof place) || listen(door, 64)) die("listen");
    for (int fd; (fd = accept(door, 0, 0)) >= 0; close(fd)) serve(fd);
    return 1;
}
