/* The least work that tracing ELF files can be: for each path on standard input, open the file, ask its size, read its
 * first page, its dynamic section and the part of the string table that NEEDED, SONAME, RPATH and RUNPATH name.
 * Nothing is resolved. `-j N` shares the list among N threads. */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char **paths;
static long n_paths, n_threads = 1;

static long file_offset(const Elf64_Phdr *segments, int count, Elf64_Addr address)
{
	for (int i = 0; i < count; i++)
		if (segments[i].p_type == PT_LOAD && address - segments[i].p_vaddr < segments[i].p_filesz)
			return segments[i].p_offset + (address - segments[i].p_vaddr);
	return -1;
}

static long visit(const char *path)
{
	static __thread char page[4096], other[1 << 20];
	struct stat status;
	long needed = 0;
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return 0;
	fstat(file, &status);
	ssize_t length = pread(file, page, sizeof page, 0);
	const Elf64_Ehdr *header = (const void *)page;
	if (length < (ssize_t)sizeof *header || memcmp(page, ELFMAG, SELFMAG) || page[EI_CLASS] != ELFCLASS64 ||
	    header->e_phoff + header->e_phnum * sizeof(Elf64_Phdr) > (size_t)length)
		goto out;
	const Elf64_Phdr *segments = (const void *)(page + header->e_phoff);
	for (int i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type != PT_DYNAMIC || segments[i].p_filesz > sizeof other)
			continue;
		if (pread(file, other, segments[i].p_filesz, segments[i].p_offset) != (ssize_t)segments[i].p_filesz)
			break;
		Elf64_Xword first = -1, last = 0;
		Elf64_Addr strings = 0;
		for (Elf64_Dyn *d = (void *)other; d->d_tag != DT_NULL; d++) {
			int named = d->d_tag == DT_NEEDED || d->d_tag == DT_SONAME || d->d_tag == DT_RPATH || d->d_tag == DT_RUNPATH;
			needed += d->d_tag == DT_NEEDED;
			if (d->d_tag == DT_STRTAB)
				strings = d->d_un.d_ptr;
			if (named && d->d_un.d_val < first)
				first = d->d_un.d_val;
			if (named && d->d_un.d_val > last)
				last = d->d_un.d_val;
		}
		long at = file_offset(segments, header->e_phnum, strings);
		size_t want = last - first + 256;
		if (at >= 0 && last && want <= sizeof other && pread(file, other, want, at + first) < 0)
			needed = 0;
		break;
	}
out:
	close(file);
	return needed;
}

static void *run(void *number)
{
	long needed = 0;
	for (long i = (long)number; i < n_paths; i += n_threads)
		needed += visit(paths[i]);
	return (void *)needed;
}

int main(int count, char **arguments)
{
	if (count == 3 && !strcmp(arguments[1], "-j"))
		n_threads = atol(arguments[2]);
	char *line = NULL;
	size_t size = 0;
	for (ssize_t length; (length = getline(&line, &size, stdin)) > 0;) {
		line[length - 1] = 0;
		paths = realloc(paths, (n_paths + 1) * sizeof *paths);
		paths[n_paths++] = strdup(line);
	}
	pthread_t threads[64];
	long needed = 0;
	for (long i = 1; i < n_threads && i < 64; i++)
		pthread_create(&threads[i], NULL, run, (void *)i);
	needed += (long)run((void *)0);
	for (long i = 1; i < n_threads && i < 64; i++) {
		void *part;
		pthread_join(threads[i], &part);
		needed += (long)part;
	}
	printf("%ld files, %ld needed\n", n_paths, needed);
}
