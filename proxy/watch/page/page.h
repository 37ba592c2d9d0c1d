/*
 * The page for people, one file that needs nothing from elsewhere: index.html as gen_page.py embeds it at build time.
 * Constant data.
 */
#pragma once

#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t page_html_len;
extern const char page_policy[]; /* Content-Security-Policy */
