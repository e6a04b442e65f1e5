/* Walks a tree as a plain C program does: opendir, readdir, one lstat a file.
 *
 *   walk DIR            one walk; prints the number of files and the sum of their sizes
 *   walk DIR SECONDS    one walk every SECONDS until killed: the work of collectd's filecount plugin
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static long files, bytes;

static void walk(int descriptor)
{
    DIR *directory = fdopendir(descriptor);
    if (directory == NULL)
        return;
    struct dirent *entry;
    struct stat found;
    while ((entry = readdir(directory)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(directory), entry->d_name, &found, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISREG(found.st_mode)) {
            files++;
            bytes += found.st_size;
        } else if (S_ISDIR(found.st_mode)) {
            walk(openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        }
    }
    closedir(directory);
}

int main(int count, char **words)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    do {
        files = bytes = 0;
        walk(open(words[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        printf("%ld %ld\n", files, bytes);
        fflush(stdout);
    } while (count > 2 && sleep(atoi(words[2])) == 0);
    return 0;
}
