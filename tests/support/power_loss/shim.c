/* Preloaded into a program, writes down everything that it does to the files of one folder, in the order in which it
 * happens, and everything that it says on standard output. tests/it/store/power_loss makes crash images of that.
 *
 * LOOPKEY_SHIM_FOLDER  the folder, an absolute path
 * LOOPKEY_SHIM_LOG     where to write, outside that folder
 *
 * One lock is held over each call and its record, so that the log's order is the true one. What a program maps into memory
 * is not seen: SQLite does that with its "-shm" file only, which it makes anew after a crash.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* As in log.rs. */
enum kind { OPENED = 1, CREATED, WROTE, TRUNCATED, SYNCED, RENAMED, UNLINKED, MADE_FOLDER, SAID };

struct record {
    uint32_t kind;
    uint32_t length; /* of what follows */
    uint64_t file;   /* inode */
    uint64_t offset; /* or the new length */
};

#define MAX_FD 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder;
static size_t folder_length;
static int log_fd = -1;
/* The inode of each open file in the folder, or 0. */
static uint64_t files[MAX_FD];

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("LOOPKEY_SHIM_LOG");
    folder = getenv("LOOPKEY_SHIM_FOLDER");
    if (path == NULL || folder == NULL) {
        return;
    }
    folder_length = strlen(folder);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* A log with a gap would prove nothing. */
static void note(enum kind kind, uint64_t file, uint64_t offset, const void *data, size_t length) {
    struct record record = {kind, (uint32_t)length, file, offset};
    struct iovec parts[2] = {{&record, sizeof record}, {(void *)data, length}};
    if (syscall(SYS_writev, log_fd, parts, 2) != (long)(sizeof record + length)) {
        abort();
    }
}

/* The part of a path below the folder; NULL for what is outside. */
static const char *inside(const char *path) {
    if (log_fd < 0 || path == NULL || strncmp(path, folder, folder_length) != 0) {
        return NULL;
    }
    path += folder_length;
    return *path == '/' ? path + 1 : *path == '\0' ? path : NULL;
}

static uint64_t file_of(int fd) { return log_fd >= 0 && fd >= 0 && fd < MAX_FD ? files[fd] : 0; }

static int do_open(int dir, const char *path, int flags, mode_t mode) {
    const char *name = inside(path);
    if (name == NULL) {
        return (int)syscall(SYS_openat, dir, path, flags, mode);
    }
    pthread_mutex_lock(&lock);
    int missing = syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int error = errno;
    if (fd >= 0) {
        struct stat found;
        if (fd >= MAX_FD || fstat(fd, &found) != 0) {
            abort();
        }
        files[fd] = found.st_ino;
        note(missing ? CREATED : OPENED, found.st_ino, 0, name, strlen(name));
        if (!missing && (flags & O_TRUNC) != 0) {
            note(TRUNCATED, found.st_ino, 0, "", 0);
        }
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define OPEN_MODE(flags, last)                                                                                         \
    mode_t mode = 0;                                                                                                   \
    if (((flags) & (O_CREAT | O_TMPFILE)) != 0) {                                                                      \
        va_list rest;                                                                                                  \
        va_start(rest, last);                                                                                          \
        mode = va_arg(rest, mode_t);                                                                                   \
        va_end(rest);                                                                                                  \
    }

int open(const char *path, int flags, ...) {
    OPEN_MODE(flags, flags)
    return do_open(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    OPEN_MODE(flags, flags)
    return do_open(AT_FDCWD, path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    OPEN_MODE(flags, flags)
    return do_open(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    OPEN_MODE(flags, flags)
    return do_open(dir, path, flags, mode);
}

int close(int fd) {
    if (file_of(fd) == 0) {
        return (int)syscall(SYS_close, fd);
    }
    pthread_mutex_lock(&lock);
    files[fd] = 0;
    int closed = (int)syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return closed;
}

/* `offset` below 0: where the file stands. */
static ssize_t do_write(int fd, const void *data, size_t length, off_t offset) {
    uint64_t file = file_of(fd);
    int says = log_fd >= 0 && fd == STDOUT_FILENO;
    if (file == 0 && !says) {
        return offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
    }
    pthread_mutex_lock(&lock);
    ssize_t written = offset < 0 ? syscall(SYS_write, fd, data, length) : syscall(SYS_pwrite64, fd, data, length, offset);
    int error = errno;
    if (written > 0 && says) {
        note(SAID, 0, 0, data, (size_t)written);
    } else if (written > 0) {
        off_t start = offset < 0 ? syscall(SYS_lseek, fd, 0, SEEK_CUR) - written : offset;
        note(WROTE, file, (uint64_t)start, data, (size_t)written);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return written;
}

ssize_t write(int fd, const void *data, size_t length) { return do_write(fd, data, length, -1); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return do_write(fd, data, length, offset); }
ssize_t pwrite64(int fd, const void *data, size_t length, off_t offset) { return do_write(fd, data, length, offset); }

int ftruncate(int fd, off_t length) {
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_ftruncate, fd, length);
    int error = errno;
    if (done == 0 && file_of(fd) != 0) {
        note(TRUNCATED, file_of(fd), (uint64_t)length, "", 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

/* Counts once it has succeeded. */
static int do_sync(long call, int fd) {
    if (file_of(fd) == 0) {
        return (int)syscall(call, fd);
    }
    pthread_mutex_lock(&lock);
    int done = (int)syscall(call, fd);
    int error = errno;
    if (done == 0) {
        note(SYNCED, file_of(fd), 0, "", 0);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int fsync(int fd) { return do_sync(SYS_fsync, fd); }
int fdatasync(int fd) { return do_sync(SYS_fdatasync, fd); }

int rename(const char *from, const char *to) {
    const char *old = inside(from), *new = inside(to);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    int error = errno;
    if (done == 0 && old != NULL && new != NULL) {
        char names[8192];
        int length = snprintf(names, sizeof names, "%s%c%s", old, 0, new);
        note(RENAMED, 0, 0, names, (size_t)length);
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int unlink(const char *path) {
    const char *name = inside(path);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int error = errno;
    if (done == 0 && name != NULL) {
        note(UNLINKED, 0, 0, name, strlen(name));
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int mkdir(const char *path, mode_t mode) {
    const char *name = inside(path);
    pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    int error = errno;
    if (done == 0 && name != NULL) {
        note(MADE_FOLDER, 0, 0, name, strlen(name));
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
