// SPDX-License-Identifier: MIT OR GPL-2.0
/* What packing makes of _redirects and _headers, from the files to the bytes of a reply. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sandbox.h"

static struct sandbox s;

static int begin(void **state)
{
	(void)state;
	sandbox_begin(&s);
	sandbox_text(&s, "site/index.html", "root");
	sandbox_text(&s, "site/page.html", "page");
	sandbox_text(&s, "site/dir/index.html", "dir");
	sandbox_text(&s, "site/404.html", "lost");
	return 0;
}

static int end(void **state)
{
	(void)state;
	sandbox_end(&s);
	return 0;
}

static void redirects(const char *text)
{
	sandbox_text(&s, "site/_redirects", text);
}

static void headers(const char *text)
{
	sandbox_text(&s, "site/_headers", text);
}

static void body(const char *target, u16 status, const char *text)
{
	sandbox_expect_body(&s, target, "", status, text, strlen(text));
}

static void location(const char *target, u16 status, const char *value)
{
	sandbox_expect(&s, target, "", status, "Location", value);
}

/* --- _redirects ----------------------------------------------------------------------------- */

static void redirects_have_each_status(void **state)
{
	(void)state;
	redirects("/a /to\n"
		  "/b /to 301\n/c /to 302\n/d /to 303\n/e /to 307\n/f /to 308\n"
		  "/g/* /to 301\n/h/* /to 302\n/i/* /to 303\n/j/* /to 307\n/k/* /to 308\n"
		  "/x https://example.com/y?z#f 302\n");
	sandbox_must_pack(&s);
	location("/a", 301, "/to");
	location("/b", 301, "/to");
	location("/c", 302, "/to");
	location("/d", 303, "/to");
	location("/e", 307, "/to");
	location("/f", 308, "/to");
	location("/g/", 301, "/to");
	location("/h/", 302, "/to");
	location("/i/", 303, "/to");
	location("/j/", 307, "/to");
	location("/k/", 308, "/to");
	location("/x", 302, "https://example.com/y?z#f");
	/* The other is another path */
	sandbox_expect(&s, "/a/", "", 404, NULL, NULL);
	sandbox_expect(&s, "/g", "", 404, NULL, NULL);
	body("/_redirects", 404, "lost");
}

static void placeholders_and_splats_are_carried_over(void **state)
{
	(void)state;
	redirects("/blog/:year/:month/* /news/:month-:year/:splat 302\n"
		  "/user/:id /profile?id=:id&old 302\n"
		  "/other/* https://other.example:8080/in/:splat 301\n"
		  "/time/:x /at/12:30/:x#:x 302\n"
		  "/end* /begin:splat 302\n"
		  "/two/:a/:a1 /:a1/:a.html 302\n");
	sandbox_must_pack(&s);
	location("/blog/2024/05/a/b.html", 302, "/news/05-2024/a/b.html");
	location("/blog/2024/05/", 302, "/news/05-2024/");
	sandbox_expect(&s, "/blog/2024/05", "", 404, NULL, NULL);
	sandbox_expect(&s, "/blog//05/x", "", 404, NULL, NULL);
	location("/user/7", 302, "/profile?id=7&old");
	location("/user/7?q=1", 302, "/profile?id=7&old");
	location("/other/x%20y?q=1", 301, "https://other.example:8080/in/x%20y?q=1");
	location("/time/1", 302, "/at/12:30/1#1");
	location("/ending", 302, "/begining");
	location("/two/x/y", 302, "/y/x.html");
}

static void paths_of_rules_are_percent_decoded(void **state)
{
	(void)state;
	redirects("/caf%C3%A9 /coffee 302\n"
		  "/caf\xc3\xa9s/* /coffees/:splat 302\n"
		  "/a%20b/:x /c%20d/:x 302\n"
		  "/star%2A /stars 302\n"
		  "/colon%3Ax/y /colons 302\n"
		  "/wiki/File:Name /file 302\n"
		  "/utf8 /t\xc3\xbcr 302\n"
		  "/rewrite/* /with%20space/:splat 200\n");
	sandbox_text(&s, "site/with space/x", "x");
	sandbox_must_pack(&s);
	location("/caf%c3%a9", 302, "/coffee");
	location("/caf%C3%A9s/1", 302, "/coffees/1");
	location("/a%20b/x", 302, "/c%20d/x");
	location("/star*", 302, "/stars");
	sandbox_expect(&s, "/starry", "", 404, NULL, NULL);
	location("/colon:x/y", 302, "/colons");
	location("/wiki/File:Name", 302, "/file");
	location("/utf8", 302, "/t%C3%BCr");
	body("/rewrite/x", 200, "x");
}

static void comments_line_ends_and_marks_do_not_matter(void **state)
{
	(void)state;
	redirects(
		"\xef\xbb\xbf# comment\r\n\r\n  /a\t /b   302   # why\r\n\t# /c /d\r\n/e /f#g\r\n/h /i");
	sandbox_must_pack(&s);
	location("/a", 302, "/b");
	sandbox_expect(&s, "/c", "", 404, NULL, NULL);
	location("/e", 301, "/f#g");
	location("/e?q", 301, "/f?q#g");
	location("/h", 301, "/i");
}

static void the_first_rule_counts(void **state)
{
	(void)state;
	redirects("/x/one /first 302\n/x/* /second 302\n/* /third 302\n");
	sandbox_must_pack(&s);
	location("/x/one", 302, "/first");
	location("/x/two", 302, "/second");
	location("/y", 302, "/third");
	body("/page.html", 200, "page");
	/* Behind the splat it cannot be reached: that must not make it an entry */
	redirects("/x/* /second 302\n/x/one /first 302\n");
	assert_true(sandbox_pack(&s));
	assert_non_null(strstr(s.messages, "_redirects:2: never used: a rule before it"));
	location("/x/one", 302, "/second");
	redirects("/x /second 302\n/x /first 302\n");
	assert_true(sandbox_pack(&s));
	assert_non_null(strstr(s.messages, "_redirects:2: never used: a rule before it"));
	location("/x", 302, "/second");
}

static void what_exists_comes_before_rules_that_are_not_forced(void **state)
{
	(void)state;
	redirects("/page.html /other 302\n/dir /other 302\n/dir/* /there/:splat 302\n");
	assert_true(sandbox_pack(&s));
	assert_non_null(strstr(s.messages, "_redirects:1: never used: /page.html exists"));
	assert_non_null(strstr(s.messages, "_redirects:2: never used: /dir exists"));
	assert_null(strstr(s.messages, "_redirects:3"));
	body("/page.html", 200, "page");
	location("/dir", 301, "/dir/");
	body("/dir/", 200, "dir");
	location("/dir/x", 302, "/there/x");
}

static void forced_rules_come_before_what_exists(void **state)
{
	(void)state;
	redirects("/page.html /other 302!\n/dir/* /there/:splat 301!\n");
	sandbox_must_pack(&s);
	location("/page.html", 302, "/other");
	location("/dir/", 301, "/there/");
	location("/dir/index.html", 301, "/there/index.html");
	location("/dir", 301, "/dir/");
	body("/", 200, "root");
	/* Not forced, but before the forced one: the file stays */
	redirects("/page.html /other 302\n/* /there/:splat 301!\n");
	assert_true(sandbox_pack(&s));
	body("/page.html", 200, "page");
	location("/", 301, "/there/");
	/* A site that has moved */
	redirects("/* https://new.example/:splat 301!\n");
	sandbox_must_pack(&s);
	location("/page.html", 301, "https://new.example/page.html");
	location("/x", 301, "https://new.example/x");
	assert_int_equal(s.packed.entries, 0);
	assert_int_equal(s.packed.files, 0);
}

static void rewrites_show_a_file_for_other_paths(void **state)
{
	(void)state;
	redirects("/app/* /index.html 200\n/p/:name /:name.html 200\n/gone/* /page.html 404\n"
		  "/d/* /dir/ 200\n");
	sandbox_must_pack(&s);
	body("/app/", 200, "root");
	body("/app/a/b?c", 200, "root");
	sandbox_expect(&s, "/app/x", "", 200, "Content-Type", "text/html; charset=utf-8");
	body("/p/page", 200, "page");
	body("/p/nowhere", 404, "lost");
	body("/gone/x", 404, "page");
	body("/d/x", 200, "dir");
	body("/page.html", 200, "page");
}

static void forced_rewrites_hide_files_but_not_their_target(void **state)
{
	(void)state;
	redirects("/* /index.html 200!\n");
	sandbox_must_pack(&s);
	body("/", 200, "root");
	body("/page.html", 200, "root");
	body("/index.html", 200, "root");
	body("/dir", 200, "root");
	redirects("/dir/* /404.html 404!\n");
	sandbox_must_pack(&s);
	body("/dir/", 404, "lost");
	body("/dir/index.html", 404, "lost");
	body("/404.html", 200, "lost");
	redirects("/* /404.html 404!\n");
	sandbox_must_pack(&s);
	body("/", 404, "lost");
	redirects("/page.html /dir/ 200!\n/x /page.html 200\n");
	sandbox_must_fail(&s, "_redirects:2: its target /page.html is taken by the rule in line 1");
}

static void bad_redirects_are_named_by_line(void **state)
{
	static const struct {
		const char *line, *why;
	} rules[] = {
		{ "page /to", "its path does not begin with \"/\"" },
		{ "https://a.example/x /to", "its path has a host" },
		{ "/a", "it has no target" },
		{ "/a # /b", "it has no target" },
		{ "/a b", "its target begins with neither" },
		{ "/a 301", "its target begins with neither" },
		{ "/a ftp://x/", "its target begins with neither" },
		{ "/a javascript:alert(1)", "its target begins with neither" },
		{ "/a //evil.example/", "its target begins with \"//\"" },
		{ "/a id=:id /b", "conditions on the query" },
		{ "/a?b=c /d", "only paths can be matched" },
		{ "/a#b /d", "only paths can be matched" },
		{ "/a /b 410", "its status is not supported" },
		{ "/a /b 30", "its status is not supported" },
		{ "/a /b 3011", "its status is not supported" },
		{ "/a /b 99999999999999999999", "its status is not supported" },
		{ "/a /b 304", "its status is not supported" },
		{ "/a /b 301x", "what follows its target is no status" },
		{ "/a /b !", "what follows its target is no status" },
		{ "/a /b 301!!", "what follows its target is no status" },
		{ "/a /b 301 extra", "what follows its target is no status" },
		{ "/a /b 302 Country=de", "conditions (Country=, Language=, Role=, Cookie=)" },
		{ "/a /b Language=de", "conditions (Country=, Language=, Role=, Cookie=)" },
		{ "/a/* https://other.example/:splat 200", "its target is on another host" },
		{ "/a/* https://other.example/ 404", "its target is on another host" },
		{ "/a/* /index.html?x=1 200", "a rewrite leads to a path" },
		{ "/a/*/b /c", "its path has a \"*\" that is not at the end" },
		{ "/a/** /c", "its path has a \"*\" that is not at the end" },
		{ "/a/:b/:b /c", "its path has a placeholder twice" },
		{ "/a/:splat /c", "the name of what a \"*\" stands for" },
		{ "/a/:b.html /c", "only part of a segment" },
		{ "/:a/:b/:c/:d/:e/:f/:g/:h/:i/:j/:k/:l/:m/:n/:o/:p/:q /x",
		  "more than 16 placeholders" },
		{ "/a/:b /c/:d", "a placeholder that its path does not have" },
		{ "/a /c?d=:d", "a placeholder that its path does not have" },
		{ "/a /c-:splat", "a placeholder that its path does not have" },
		{ "/a/* https://:splat/", "a placeholder before the path" },
		{ "/a/* https://x.:splat", "a placeholder before the path" },
		{ "/a%zz /b", "its path has a bad percent-encoding" },
		{ "/a%00 /b", "its path has a bad percent-encoding" },
		{ "/a%2 /b", "its path has a bad percent-encoding" },
		{ "/a /b%2", "its target has a bad percent-encoding" },
		{ "/a/../b /c", "its path has a dot segment" },
		{ "/a/./b /c", "its path has a dot segment" },
		{ "/a /a", "it leads to itself" },
		{ "/a\x01 /b", "it has a control character" },
		{ "/a /b\x7f", "it has a control character" },
		{ "/a /nowhere.html 200", "its target /nowhere.html does not exist" },
		{ "/a /nowhere.html 404", "its target /nowhere.html does not exist" },
	};
	char text[8192], expected[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		snprintf(text, sizeof(text), "# first\n\n/ok /fine\n%s\n/fine /ok\n",
			 rules[i].line);
		redirects(text);
		snprintf(expected, sizeof(expected), "%s/site/_redirects:4: %s", s.dir,
			 strncmp(rules[i].why, "its", 3) && strncmp(rules[i].why, "it ", 3) ?
				 "" :
				 rules[i].why);
		sandbox_must_fail(&s, expected);
		sandbox_must_fail(&s, rules[i].why);
	}
	/* All of them, not only the first; and NUL */
	memset(text, 0, sizeof(text));
	sandbox_put(&s, "site/_redirects", "/a\n/b /c\n/d 301\n/e\0 /f\n", 24);
	sandbox_must_fail(&s, "_redirects:1: ");
	assert_non_null(strstr(s.messages, "_redirects:3: "));
	assert_non_null(strstr(s.messages, "_redirects:4: "));
	assert_null(strstr(s.messages, "_redirects:2: "));
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "/", 1);
	memcpy(text + 5000, " /y\n", 5);
	redirects(text);
	sandbox_must_fail(&s, "_redirects:1: its path is longer than 4096 bytes");
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "/x /", 4);
	text[6000] = 0;
	redirects(text);
	sandbox_must_fail(&s, "_redirects:1: its target is longer than 4096 bytes");
}

static void patterns_are_limited_but_single_paths_are_not(void **state)
{
	char *text = malloc(5000 * 40), target[32], value[32];
	size_t n = 0;
	int i;

	(void)state;
	for (i = 0; i < 2000; i++)
		n += sprintf(text + n, "/p%d/* /to/%d/:splat\n", i, i);
	for (i = 0; i < 3000; i++)
		n += sprintf(text + n, "/e%d /end/%d\n", i, i);
	redirects(text);
	sandbox_must_pack(&s);
	for (i = 0; i < 2000; i += 333) {
		snprintf(target, sizeof(target), "/p%d/x", i);
		snprintf(value, sizeof(value), "/to/%d/x", i);
		location(target, 301, value);
		snprintf(target, sizeof(target), "/e%d", i);
		snprintf(value, sizeof(value), "/end/%d", i);
		location(target, 301, value);
	}
	assert_int_equal(s.packed.rules, 2000);
	sprintf(text + n, "/one/more/* /too/many\n");
	redirects(text);
	sandbox_must_fail(&s, "_redirects:5001: there are more than 2000 rules");
	free(text);
}

static void only_files_at_the_top_hold_rules(void **state)
{
	(void)state;
	sandbox_text(&s, "site/dir/_redirects", "no rule");
	sandbox_text(&s, "site/dir/_headers", "no rule");
	redirects("");
	headers("");
	sandbox_must_pack(&s);
	body("/dir/_redirects", 200, "no rule");
	body("/dir/_headers", 200, "no rule");
	body("/_redirects", 404, "lost");
	body("/_headers", 404, "lost");
	assert_int_equal(s.packed.files, 6);
}

/* --- _headers ------------------------------------------------------------------------------- */

static void field(const char *target, const char *name, const char *value)
{
	sandbox_expect(&s, target, "", 200, name, value);
}

static void headers_are_added_where_the_path_matches(void **state)
{
	(void)state;
	sandbox_text(&s, "site/img/a.jpg", "x");
	sandbox_text(&s, "site/img/sub/b.jpg", "x");
	sandbox_text(&s, "site/caf\xc3\xa9", "x");
	headers("# comment\n"
		"/*\n  X-All: yes\n\n"
		"/page.html\n\tX-Page:one:two \r\n"
		"/dir/\nX-Dir: only the folder\n"
		"/img/*.jpg\n  Cache-Control: max-age=60\n"
		"/img/:file\n  X-File: <:file> :none\n"
		"/dir/:file\n  X-In-Dir: :file\n"
		"/*/sub/:x\n  X-Two: :splat,:x\n"
		"/caf%C3%A9\n  X-Coffee: yes\n");
	sandbox_must_pack(&s);
	field("/", "X-All", "yes");
	field("/page.html", "X-All", "yes");
	field("/page.html", "X-Page", "one:two");
	field("/", "X-Page", NULL);
	field("/dir/", "X-Dir", "only the folder");
	field("/dir/index.html", "X-Dir", NULL);
	field("/dir/index.html", "X-In-Dir", "index.html");
	field("/dir/", "X-In-Dir", NULL); /* a placeholder is not empty */
	field("/img/a.jpg", "Cache-Control", "max-age=60");
	field("/img/sub/b.jpg", "Cache-Control", "max-age=60");
	field("/img/a.jpg", "X-File", "<a.jpg> :none");
	field("/img/sub/b.jpg", "X-File", NULL);
	field("/img/sub/b.jpg", "X-Two", "img,b.jpg");
	field("/caf%c3%a9", "X-Coffee", "yes");
	/* The page of a 404 has the fields of that page */
	sandbox_expect(&s, "/nowhere", "", 404, "X-All", "yes");
}

static void values_join_and_can_be_taken_away(void **state)
{
	struct exchange x;
	u32 i, cookies = 0;

	(void)state;
	headers("/*\n"
		"  Cache-Control: public\n"
		"  X-List: a\n"
		"  x-list: b\n"
		"  X-Frame-Options: DENY\n"
		"  Set-Cookie: a=1\n"
		"  Set-Cookie: b=2\n"
		"/page.html\n"
		"  ! cache-control\n"
		"  Cache-Control: no-store\n"
		"  X-List: c\n"
		"  X-Frame-Options: SAMEORIGIN\n"
		"  Content-Type: text/x-page\n"
		"/dir/*\n"
		"  !X-List\n"
		"  ! Content-Type\n"
		"  ! X-Never-Set\n"
		"  Cache-Control: immutable\n");
	sandbox_must_pack(&s);
	field("/", "Cache-Control", "public");
	field("/", "X-List", "a, b");
	field("/page.html", "Cache-Control", "no-store");
	field("/page.html", "X-List", "a, b, c");
	field("/page.html", "X-Frame-Options", "SAMEORIGIN");
	field("/page.html", "Content-Type", "text/x-page");
	field("/dir/", "X-List", NULL);
	field("/dir/", "Content-Type", NULL);
	field("/dir/", "Cache-Control", "public, immutable");
	sandbox_ask(&s, &x, "a", "GET", "/", "");
	for (i = 0; i < x.head.n_lines; i++)
		cookies += str_is(x.head.lines[i].name, "Set-Cookie");
	assert_int_equal(cookies, 2);
	exchange_end(&x);
}

static void a_304_has_what_caches_need(void **state)
{
	struct khttpd_str tag;
	char fields[128], *text = calloc(1, 3001);

	(void)state;
	memset(text, 'x', 3000);
	sandbox_text(&s, "site/big.html", text);
	headers("/*\n  Cache-Control: max-age=60\n  Expires: 0\n  Content-Location: /other\n"
		"  X-Other: y\n  Vary: Cookie\n"
		"/page.html\n  Vary: accept-encoding\n");
	sandbox_must_pack(&s);
	tag = khttpd_site_etag(
		&s.site,
		s.site.variants + le32_to_cpu(sandbox_entry(&s, "/big.html")->first_variant) + 3);
	snprintf(fields, sizeof(fields), "If-None-Match: %.*s\r\n", (int)tag.len, tag.p);
	sandbox_expect(&s, "/big.html", fields, 304, "Cache-Control", "max-age=60");
	sandbox_expect(&s, "/big.html", fields, 304, "Expires", "0");
	sandbox_expect(&s, "/big.html", fields, 304, "Content-Location", "/other");
	sandbox_expect(&s, "/big.html", fields, 304, "Vary", "Cookie, Accept-Encoding");
	sandbox_expect(&s, "/big.html", fields, 304, "X-Other", NULL);
	sandbox_expect(&s, "/big.html", fields, 304, "Content-Type", NULL);
	field("/big.html", "X-Other", "y");
	/* One variant: nothing but what the rules say */
	field("/", "Vary", "Cookie");
	field("/page.html", "Vary", "Cookie, accept-encoding");
	/* Said already */
	headers("/big.html\n  Vary: X, Accept-encoding\n");
	sandbox_must_pack(&s);
	field("/big.html", "Vary", "X, Accept-encoding");
	headers("/big.html\n  Vary: *\n");
	sandbox_must_pack(&s);
	field("/big.html", "Vary", "*");
	free(text);
}

static void a_file_name_cannot_add_a_field(void **state)
{
	(void)state;
	sandbox_text(&s, "site/n/a\r\nX-Evil: 1\r\n\r\n", "x");
	sandbox_text(&s, "site/n/\"<>\\%\xe9", "x");
	sandbox_text(&s, "site/n/ ", "x");
	headers("/n/:name\n  X-Name: is :name\n/n*\n  X-Rest: :splat\n");
	sandbox_must_pack(&s);
	field("/n/a%0D%0AX-Evil:%201%0D%0A%0D%0A", "X-Name", "is a%0D%0AX-Evil:%201%0D%0A%0D%0A");
	field("/n/a%0D%0AX-Evil:%201%0D%0A%0D%0A", "X-Evil", NULL);
	field("/n/%22%3c%3e%5c%25%e9", "X-Name", "is %22%3C%3E%5C%25%E9");
	field("/n/%20", "X-Name", "is %20");
	/* An empty splat leaves no blank at the end, which no field has */
	headers("/page.html*\n  X-Rest: rest :splat\n  X-Splat: :splat\n");
	sandbox_must_pack(&s);
	field("/page.html", "X-Rest", "rest");
	field("/page.html", "X-Splat", "");
}

static void bad_headers_are_named_by_line(void **state)
{
	static const struct {
		const char *text;
		int line;
		const char *why;
	} rules[] = {
		{ "X-A: b\n", 1, "no path comes before it" },
		{ "/a\n", 1, "no field follows this path" },
		{ "/a\n/b\n  X: y\n", 1, "no field follows this path" },
		{ "/a\n  X: y\n/b\n", 3, "no field follows this path" },
		{ "/a\n  nonsense\n", 2, "it is neither a path nor" },
		{ "/a\n  X A: b\n", 2, "it has a field name with characters" },
		{ "/a\n  : b\n", 2, "it has a field name with characters" },
		{ "/a\n  X\xc3\xa9: b\n", 2, "it has a field name with characters" },
		{ "/a\n  X :b\n", 2, "it has a field name with characters" },
		{ "/a\n  !\n", 2, "it has a field name with characters" },
		{ "/a\n  ! X: y\n", 2, "it has a field name with characters" },
		{ "/a\n  X:\n", 2, "it has no value" },
		{ "/a\n  X: \t\n", 2, "it has no value" },
		{ "/a\n  Content-Length: 5\n", 2, "this field is the server's own" },
		{ "/a\n  transfer-encoding: chunked\n", 2, "this field is the server's own" },
		{ "/a\n  Connection: close\n", 2, "this field is the server's own" },
		{ "/a\n  Keep-Alive: x\n", 2, "this field is the server's own" },
		{ "/a\n  Date: x\n", 2, "this field is the server's own" },
		{ "/a\n  Server: x\n", 2, "this field is the server's own" },
		{ "/a\n  ETag: \"x\"\n", 2, "this field is the server's own" },
		{ "/a\n  Last-Modified: x\n", 2, "this field is the server's own" },
		{ "/a\n  Content-Encoding: gzip\n", 2, "this field is the server's own" },
		{ "/a\n  Content-Range: x\n", 2, "this field is the server's own" },
		{ "/a\n  Accept-Ranges: none\n", 2, "this field is the server's own" },
		{ "/a\n  Location: /x\n", 2, "this field is the server's own" },
		{ "/a\n  Upgrade: h2c\n", 2, "this field is the server's own" },
		{ "/a\n  Trailer: x\n", 2, "this field is the server's own" },
		{ "/a\n  ! ETag\n", 2, "this field is the server's own" },
		{ "/a\n  Basic-Auth: a:b\n", 2, "passwords (Basic-Auth) are not supported" },
		{ "/a\n  X: a\x01 b\n", 2, "it has a control character" },
		{ "/a\n  X: a\rb\n", 2, "it has a control character" },
		{ "https://a.example/x\n  X: y\n", 1, "its path has a host" },
		{ "/a/*/b/*\n  X: y\n", 1, "its path has more than one \"*\"" },
		{ "/a/:b/:b\n  X: y\n", 1, "its path has a placeholder twice" },
		{ "/a?b\n  X: y\n", 1, "only paths can be matched" },
		{ "/a%0\n  X: y\n", 1, "its path has a bad percent-encoding" },
	};
	char expected[256], *lines = malloc(6000), *at;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		headers(rules[i].text);
		snprintf(expected, sizeof(expected), "%s/site/_headers:%d: ", s.dir, rules[i].line);
		sandbox_must_fail(&s, expected);
		sandbox_must_fail(&s, rules[i].why);
		/* And nothing else is said of it */
		at = strchr(s.messages, '\n');
		engine_check(at && !at[1], "more than one message: %s", s.messages);
	}
	headers("/nowhere\n  X: y\n/*\n  X: z\n");
	assert_true(sandbox_pack(&s));
	assert_non_null(strstr(s.messages, "_headers:1: never used: no file"));
	assert_null(strstr(s.messages, "_headers:3"));
	strcpy(lines, "/page.html\n  X: ");
	memset(lines + strlen(lines), 'x', 4000);
	strcpy(lines + 4016, "\n");
	headers(lines);
	sandbox_must_fail(&s, "_headers: the field lines for /page.html are 4");
	free(lines);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(redirects_have_each_status),
		TEST(placeholders_and_splats_are_carried_over),
		TEST(paths_of_rules_are_percent_decoded),
		TEST(comments_line_ends_and_marks_do_not_matter),
		TEST(the_first_rule_counts),
		TEST(what_exists_comes_before_rules_that_are_not_forced),
		TEST(forced_rules_come_before_what_exists),
		TEST(rewrites_show_a_file_for_other_paths),
		TEST(forced_rewrites_hide_files_but_not_their_target),
		TEST(bad_redirects_are_named_by_line),
		TEST(patterns_are_limited_but_single_paths_are_not),
		TEST(only_files_at_the_top_hold_rules),
		TEST(headers_are_added_where_the_path_matches),
		TEST(values_join_and_can_be_taken_away),
		TEST(a_304_has_what_caches_need),
		TEST(a_file_name_cannot_add_a_field),
		TEST(bad_headers_are_named_by_line),
	};

	return cmocka_run_group_tests_name("pack rules", tests, NULL, NULL);
}
