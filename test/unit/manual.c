// SPDX-License-Identifier: AGPL-3.0-or-later
/*
 * manual.c - The manual page has every option that --help lists, with its
 * letter and the form of its value, and no other, in the same order.
 * Run from the top of the tree, where doc/ is.
 */
#include "host/options.h"
#include "unit.h"

#define MANUAL	"doc/passt.1"

/* heading() - How the manual page introduces an option */
static void heading(const struct opt *o, char *buf, size_t size)
{
	char letter[] = "Fl x , ";

	letter[3] = o->letter;
	snprintf(buf, size, ".It %sFl Fl %s%s%s\n", o->letter ? letter : "",
		 o->name, o->arg ? " Ar " : "", o->arg ? o->arg : "");
}

/* next_option() - The next row of the table that is shown, from *i on */
static const struct opt *next_option(unsigned int *i)
{
	while (*i < conf_option_count) {
		const struct opt *o = &conf_options[(*i)++];

		if (o->name && o->help)
			return o;
	}
	return NULL;
}

/* next_heading() - The next line of the page that introduces an option */
static bool next_heading(FILE *f, char *line, int size)
{
	while (fgets(line, size, f)) {
		if (!strncmp(line, ".It Fl ", 7))
			return true;
	}
	return false;
}

int main(void)
{
	FILE *f = fopen(MANUAL, "re");
	char line[256], want[256], name[128];
	const struct opt *o;
	unsigned int i = 0;

	if (!check("there is a manual page", f))
		return unit_end();

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
	return unit_end();
}
