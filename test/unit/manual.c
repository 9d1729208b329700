// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * manual.c - The manual page of passt has exactly the options that --help
 * lists, in the same order, with their letters and the form of their values.
 * The manual page of qrap has the names and numbers that qrap uses. Run this
 * test from the top of the source tree, where doc/ is.
 */
#include "conf/options.h"
#include "unit.h"

/* qrap shares no code with passt, so all its files can be included. */
#define main	qrap_main
int qrap_main(int argc, char **argv);
#include "../../qrap.c"
#undef main
#include "../../wrap/cmdline.c"
#include "../../wrap/connect.c"
#include "../../wrap/device.c"
#include "../../wrap/die.c"

#define MANUAL	"doc/passt.1"
#define QRAP	"doc/qrap.1"

/* heading() - Write the line of the manual page that introduces an option */
static void heading(const struct opt *o, char *buf, size_t size)
{
	char letter[] = "Fl x , ";

	letter[3] = o->letter;
	snprintf(buf, size, ".It %sFl Fl %s%s%s%s%s\n",
		 o->letter ? letter : "", o->name, o->also ? " , Fl Fl " : "",
		 o->also ? o->also : "", o->arg ? " Ar " : "",
		 o->arg ? o->arg : "");
}

/* next_option() - Find the next option that --help shows, from index *@i on */
static const struct opt *next_option(unsigned int *i)
{
	while (*i < conf_option_count) {
		const struct opt *o = &conf_options[(*i)++];

		if (o->name && o->help)
			return o;
	}
	return NULL;
}

/* next_heading() - Read lines up to the next one that introduces an option;
 * false if there is none */
static bool next_heading(FILE *f, char *line, int size)
{
	while (fgets(line, size, f)) {
		if (!strncmp(line, ".It Fl ", 7))
			return true;
	}
	return false;
}

static void test_passt(void)
{
	FILE *f = fopen(MANUAL, "re");
	char line[256], want[256], name[128];
	const struct opt *o;
	unsigned int i = 0;

	if (!check("there is a manual page", f))
		return;

	while ((o = next_option(&i))) {
		heading(o, want, sizeof(want));
		snprintf(name, sizeof(name), "--%s is in the manual page",
			 o->name);
		if (!next_heading(f, line, sizeof(line)))
			line[0] = '\0';
		if (!check_str(name, line, want))
			break;
	}
	check("and nothing that is not an option",
	      !next_heading(f, line, sizeof(line)));
	fclose(f);
}

/* has() - Check that qrap's manual page contains a text; the arguments after
 * @page are as for printf() */
__attribute__((format(printf, 2, 3)))
static bool has(const char *page, const char *fmt, ...)
{
	char want[256], name[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	snprintf(name, sizeof(name), "'%s' is in the page of qrap", want);
	return check(name, strstr(page, want));
}

static void test_qrap(void)
{
	char page[16384], folders[sizeof(usual_folders)], *folder;
	FILE *f = fopen(QRAP, "re");
	unsigned int i;
	size_t n;

	if (!check("there is a manual page of qrap", f))
		return;
	n = fread(page, 1, sizeof(page) - 1, f);
	page[n] = '\0';
	fclose(f);

	has(page, ".It Pa " SOCKET_FORMAT " , No ... Pa " SOCKET_FORMAT,
	    1, SOCKET_MAX);
	has(page, ".It Ev %s", SOCKET_ENV);
	has(page, "again for %d seconds", RETRY_MS / 1000);
	has(page, "is descriptor %d,", EMULATOR_FD);
	memcpy(folders, usual_folders, sizeof(folders));
	for (folder = strtok(folders, ":"); folder; folder = strtok(NULL, ":"))
		has(page, " %s", folder);
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		if (options[i].option >= OPTION_DEVICE &&
		    options[i].option <= OPTION_NIC)
			has(page, "-%s ", options[i].name);
	}
}

int main(void)
{
	test_passt();
	test_qrap();
	return unit_end();
}
