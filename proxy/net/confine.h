/*
 * What the process may still ask of the kernel once it listens: it has no capabilities, gains none by execve, and,
 * unless built with -Dseccomp=disabled, makes only the system calls its work needs. Whoever takes the process over
 * finds nothing to write a file with, no program to run and no other process to look into.
 *
 * Thread: main, before the workers start, which inherit it. It cannot be taken back.
 */
#pragma once

/* What could not be had is told in the log, and the process works on without it. */
void confine(void);
