/* Makes and unmakes files as fast as the kernel lets a plain C program.
 *
 *   burst make  DIR FILES SUBDIRS [FIRST]  create FILES files FIRST... with 20-character names, spread over SUBDIRS
 *                                          subdirectories (0: none)
 *   burst unmake DIR FILES SUBDIRS [FIRST] delete them again; the subdirectories stay
 *   burst both  DIR FILES SUBDIRS          the one, then at once the other
 *   burst churn DIR OTHER PER_SECOND       create files in DIR and rename each into OTHER, until killed
 *
 * Prints "NANOSECONDS what" of CLOCK_MONOTONIC at each step.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLOTS 100

static void stamp(const char *what)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%lld %s\n", (long long)now.tv_sec * 1000000000LL + now.tv_nsec, what);
    fflush(stdout);
}

static void die(const char *what)
{
    fprintf(stderr, "burst: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int enter(const char *directory, long subdirectory, int make)
{
    char path[4096];
    snprintf(path, sizeof path, subdirectory < 0 ? "%s" : "%s/d%05ld", directory, subdirectory);
    if (make && subdirectory >= 0 && mkdir(path, 0755) != 0 && errno != EEXIST)
        die(path);
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        die(path);
    return descriptor;
}

static void sweep(const char *directory, long files, long subdirectories, long first, int make)
{
    long parts = subdirectories > 0 ? subdirectories : 1;
    char name[32];
    for (long part = 0; part < parts; part++) {
        int descriptor = enter(directory, subdirectories > 0 ? part : -1, make);
        long skipped = ((part - first) % parts + parts) % parts; /* a file's subdirectory follows from its number */
        for (long number = first + skipped; number < first + files; number += parts) {
            snprintf(name, sizeof name, "file-%011ld.txt", number);
            if (make) {
                int file = openat(descriptor, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
                if (file < 0)
                    die(name);
                close(file);
            } else if (unlinkat(descriptor, name, 0) != 0) {
                die(name);
            }
        }
        close(descriptor);
    }
    stamp(make ? "made" : "unmade");
}

static void churn(const char *from, const char *to, long per_second)
{
    struct timespec next;
    char name[32], slot[32];
    int source = enter(from, -1, 0), target = enter(to, -1, 0);
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (long number = 0;; number++) {
        snprintf(name, sizeof name, "move-%011ld.txt", number);
        snprintf(slot, sizeof slot, "slot-%ld", number % SLOTS);
        int file = openat(source, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
        if (file < 0)
            die(name);
        close(file);
        if (renameat(source, name, target, slot) != 0)
            die(name);
        next.tv_nsec += 1000000000L / per_second;
        if (next.tv_nsec >= 1000000000L) {
            next.tv_nsec -= 1000000000L;
            next.tv_sec++;
        }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}

int main(int count, char **words)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (count < 5) {
        fprintf(stderr, "burst: make|unmake|both|churn DIR FILES|OTHER SUBDIRS|PER_SECOND [FIRST]\n");
        return 2;
    }
    long number = atol(words[4]), first = count > 5 ? atol(words[5]) : 0;
    stamp("began");
    if (strcmp(words[1], "churn") == 0)
        churn(words[2], words[3], number);
    if (strcmp(words[1], "unmake") != 0)
        sweep(words[2], atol(words[3]), number, first, 1);
    if (strcmp(words[1], "make") != 0)
        sweep(words[2], atol(words[3]), number, first, 0);
    return 0;
}
