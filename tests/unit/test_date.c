// SPDX-License-Identifier: MIT OR GPL-2.0
/* HTTP dates against the C library's calendar and RFC 9110, 5.6.7. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "unit.h"

#define EXAMPLE 784111777 /* of the RFC: 1994-11-06 08:49:37 */
#define NOW 1795165200 /* 2026-11-20 */

static u64 seed;

static bool parse(const char *text, size_t len, s64 now, s64 *seconds)
{
	/* exact size, so that ASan sees a read past the end */
	char *copy = len ? malloc(len) : NULL;
	bool ok;

	if (len)
		memcpy(copy, text, len);
	ok = khttpd_date_parse((struct khttpd_str){ copy, len }, now, seconds);
	free(copy);
	return ok;
}

static void expect(const char *text, s64 seconds)
{
	s64 got = -1;

	engine_check(parse(text, strlen(text), NOW, &got), "'%s' not understood", text);
	engine_check(got == seconds, "'%s' is %lld", text, (long long)got);
}

static void refuse(const char *text)
{
	s64 got;

	engine_check(!parse(text, strlen(text), NOW, &got), "'%s' was accepted", text);
}

/* The C library's idea of the three forms. */
static void check_day(s64 t)
{
	char want[64], got[KHTTPD_DATE_LEN];
	time_t when = t;
	struct tm tm;

	assert_non_null(gmtime_r(&when, &tm));
	assert_int_equal(strftime(want, sizeof(want), "%a, %d %b", &tm), 11);
	/* %Y of a small year has no leading zeros in glibc */
	snprintf(want + 11, sizeof(want) - 11, " %04d %02d:%02d:%02d GMT", tm.tm_year + 1900,
		 tm.tm_hour, tm.tm_min, tm.tm_sec);
	khttpd_date_format(got, t);
	engine_check(!memcmp(got, want, KHTTPD_DATE_LEN), "%lld: '%.29s', not '%s'", (long long)t,
		     got, want);
	expect(want, t);
	if (tm.tm_year >= 100 && tm.tm_year < 1100) {
		strftime(want, sizeof(want), "%a %b %e %H:%M:%S %Y", &tm);
		expect(want, t);
	}
	/* the two-digit form names a year within 50 years of now */
	if (tm.tm_year >= 126 - 49 && tm.tm_year <= 126 + 49) {
		strftime(want, sizeof(want), "%A, %d-%b-%y %H:%M:%S GMT", &tm);
		expect(want, t);
	}
}

static void every_day_of_1900_to_2200_survives_a_round_trip(void **state)
{
	(void)state;
	for (s64 day = -25567; day < 84006; day++)
		check_day(day * 86400 + random_next(&seed) % 86400);
}

static void random_seconds_of_ten_thousand_years_survive_a_round_trip(void **state)
{
	(void)state;
	for (u32 i = 0; i < 20000; i++)
		check_day(-62167219200LL + (s64)(random_next(&seed) % 315569520000ULL));
	check_day(-62167219200LL); /* 0000-01-01 */
	check_day(253402300799LL); /* 9999-12-31 23:59:59 */
}

static void dates_outside_of_four_digit_years_are_clamped(void **state)
{
	char got[KHTTPD_DATE_LEN];

	(void)state;
	khttpd_date_format(got, INT64_MAX);
	assert_memory_equal(got, "Fri, 31 Dec 9999 23:59:59 GMT", KHTTPD_DATE_LEN);
	khttpd_date_format(got, 253402300800LL);
	assert_memory_equal(got, "Fri, 31 Dec 9999 23:59:59 GMT", KHTTPD_DATE_LEN);
	khttpd_date_format(got, INT64_MIN);
	assert_memory_equal(got, "Sat, 01 Jan 0000 00:00:00 GMT", KHTTPD_DATE_LEN);
}

static void the_three_forms_of_the_rfc_are_the_same_moment(void **state)
{
	(void)state;
	expect("Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE);
	expect("Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE);
	expect("Sun Nov  6 08:49:37 1994", EXAMPLE);
	expect("Wed Nov 16 08:49:37 1994", EXAMPLE + 10 * 86400);
}

static void leap_years_follow_the_gregorian_rule(void **state)
{
	(void)state;
	expect("Tue, 29 Feb 2000 00:00:00 GMT", 951782400);
	expect("Thu, 29 Feb 2024 12:00:00 GMT", 1709208000);
	refuse("Thu, 29 Feb 1900 00:00:00 GMT");
	refuse("Mon, 29 Feb 2100 00:00:00 GMT");
	refuse("Wed, 29 Feb 2023 00:00:00 GMT");
	refuse("Sun, 30 Feb 2024 00:00:00 GMT");
}

static void two_digit_years_lie_at_most_50_years_ahead(void **state)
{
	s64 t;

	(void)state;
	/* in 2026 "75" is 2075 and "77" is 1977 */
	assert_true(parse("Tuesday, 01-Jan-75 00:00:00 GMT", 31, NOW, &t));
	assert_int_equal(t, 3313526400LL);
	assert_true(parse("Saturday, 01-Jan-77 00:00:00 GMT", 32, NOW, &t));
	assert_int_equal(t, 220924800);
	/* in 1994 "75" is 1975 and "40" is 2040 */
	assert_true(parse("Wednesday, 01-Jan-75 00:00:00 GMT", 33, EXAMPLE, &t));
	assert_int_equal(t, 157766400);
	assert_true(parse("Sunday, 01-Jan-40 00:00:00 GMT", 30, EXAMPLE, &t));
	assert_int_equal(t, 2208988800LL);
}

/* What the two digits mean is then open, but it must be a year with four digits. */
static void a_clock_that_is_far_off_does_no_harm(void **state)
{
	char date[KHTTPD_DATE_LEN];
	s64 t;

	(void)state;
	assert_true(parse("Tuesday, 01-Jan-75 00:00:00 GMT", 31, INT64_MAX, &t));
	khttpd_date_format(date, t);
	assert_memory_equal(date + 5, "01 Jan 9975", 11);
	assert_true(parse("Tuesday, 01-Jan-75 00:00:00 GMT", 31, INT64_MIN, &t));
	khttpd_date_format(date, t);
	assert_memory_equal(date + 5, "01 Jan 0075", 11);
}

static void invalid_dates_are_refused(void **state)
{
	static const char *const texts[] = {
		"0",
		"-1",
		"now",
		"784111777",
		"1994-11-06T08:49:37Z",
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 06 Nov 1994 08:49:37 +0000",
		"Sun, 06 Nov 1994 08:49:37 GMTx",
		"Sun, 06 Nov 1994 08:49:37 GMT ",
		" Sun, 06 Nov 1994 08:49:37 GMT",
		"Sun, 6 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 94 08:49:37 GMT",
		"Sun, 06 Nov 1994 8:49:37 GMT",
		"Sun, 06 Nov 1994 08:49 GMT",
		"Sun, 06 Foo 1994 08:49:37 GMT",
		"Xyz, 06 Nov 1994 08:49:37 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 31 Nov 1994 08:49:37 GMT",
		"Sun, 32 Dec 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 06 Nov 1994 -8:49:37 GMT",
		"Sun, 06 Nov +994 08:49:37 GMT",
		"Sun  06 Nov 1994 08:49:37 GMT",
		"Sun, 06-Nov-1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08.49.37 GMT",
		"Sun, 06 Nov 1994  08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37",
		"Sunday, 06 Nov 94 08:49:37 GMT",
		"Sunday, 31-Nov-94 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMTx",
		"Someday, 06-Nov-94 08:49:37 GMT",
		"Sunday 06-Nov-94 08:49:37 GMT",
		"Sun Nov 6 08:49:37 1994",
		"Sun Nov  6 08:49:37 1994 GMT",
		"Sun Nov  0 08:49:37 1994",
		"Sun Nov 31 08:49:37 1994",
		"Sun Nov  6 08:49:37 94",
		"Sun Nov  6 08:49:37 19940",
	};

	(void)state;
	for (u32 i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		refuse(texts[i]);
}

static void no_part_of_a_date_is_a_date(void **state)
{
	static const char *const texts[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};
	s64 t;

	(void)state;
	for (u32 i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		for (size_t len = 0; len < strlen(texts[i]); len++)
			assert_false(parse(texts[i], len, NOW, &t));
}

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Only a digit stands for a digit, a letter for a letter, a digit or space for asctime's space. */
static void separators_and_digits_must_be_what_they_are(void **state)
{
	static const char *const texts[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};
	char text[40];
	s64 t;

	(void)state;
	for (u32 i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		size_t len = strlen(texts[i]);

		for (size_t j = 0; j < len; j++) {
			char was = texts[i][j];

			for (u32 c = 0; c < 256; c++) {
				memcpy(text, texts[i], len);
				text[j] = c;
				if ((char)c == was || !parse(text, len, NOW, &t))
					continue;
				engine_check((is_digit(was) && is_digit(c)) ||
						     (is_letter(was) && is_letter(c)) ||
						     (i == 2 && j == 8 && is_digit(c)),
					     "'%s' with %u at %zu", texts[i], c, j);
			}
		}
	}
}

static void every_weekday_of_rfc850_is_known_and_nothing_else(void **state)
{
	static const char *const days[] = { "Monday", "Tuesday",  "Wednesday", "Thursday",
					    "Friday", "Saturday", "Sunday" };
	char text[64];

	(void)state;
	for (u32 i = 0; i < 7; i++) {
		/* 1994-11-07 was a Monday */
		snprintf(text, sizeof(text), "%s, %02u-Nov-94 08:49:37 GMT", days[i], 7 + i);
		expect(text, EXAMPLE + (i + 1) * 86400);
		text[strlen(days[i]) - 1] = 'x';
		refuse(text);
	}
	refuse("Sun, 06-Nov-94 08:49:37 GMT");
	refuse(", 06-Nov-94 08:49:37 GMT");
	refuse("Sundayday, 06-Nov-94 08:49:37 GMT");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_day_of_1900_to_2200_survives_a_round_trip),
		cmocka_unit_test(random_seconds_of_ten_thousand_years_survive_a_round_trip),
		cmocka_unit_test(dates_outside_of_four_digit_years_are_clamped),
		cmocka_unit_test(the_three_forms_of_the_rfc_are_the_same_moment),
		cmocka_unit_test(leap_years_follow_the_gregorian_rule),
		cmocka_unit_test(two_digit_years_lie_at_most_50_years_ahead),
		cmocka_unit_test(a_clock_that_is_far_off_does_no_harm),
		cmocka_unit_test(invalid_dates_are_refused),
		cmocka_unit_test(no_part_of_a_date_is_a_date),
		cmocka_unit_test(separators_and_digits_must_be_what_they_are),
		cmocka_unit_test(every_weekday_of_rfc850_is_known_and_nothing_else),
	};

	seed = unit_seed();
	return cmocka_run_group_tests_name("date", tests, NULL, NULL);
}
