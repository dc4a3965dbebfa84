/* The limit for reading headers: open, 4 KiB, and a strict walk over explicit VR little endian to pixel data, in C.
 *
 *     headers FILE...     prints how many files have a study UID
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int is_long(const unsigned char *vr) {
    static const char *longs = "OBODOFOLOVOWSQSVUCUNURUTUV";
    for (const char *at = longs; *at; at += 2)
        if (vr[0] == at[0] && vr[1] == at[1]) return 1;
    return 0;
}

static int walk(const unsigned char *data, size_t end) {
    size_t place = 132;
    int found = 0;
    if (end < 140 || memcmp(data + 128, "DICM", 4)) return 0;
    while (end - place >= 12) {
        uint32_t group = data[place] | data[place + 1] << 8, element = data[place + 2] | data[place + 3] << 8, length;
        if (group == 0x7FE0) return found;
        if (group == 0xFFFE) { /* items are walked through: what is in them is looked at too */
            place += 8;
            continue;
        }
        if (is_long(data + place + 4)) {
            memcpy(&length, data + place + 8, 4);
            int is_sequence = data[place + 4] == 'S' && data[place + 5] == 'Q';
            place += 12;
            if (is_sequence) continue;
        } else {
            length = data[place + 6] | data[place + 7] << 8;
            place += 8;
        }
        if (length > end - place) return found;
        if (group == 0x20 && element == 0x0D && length) found = 1;
        place += length;
    }
    return found;
}

int main(int count, char **names) {
    unsigned char data[4096];
    int found = 0;
    for (int number = 1; number < count; number++) {
        int file = open(names[number], O_RDONLY);
        ssize_t length = file < 0 ? -1 : pread(file, data, sizeof data, 0);
        if (file >= 0) close(file);
        if (length > 0) found += walk(data, (size_t)length);
    }
    printf("%d\n", found);
    return 0;
}
