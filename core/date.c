// SPDX-License-Identifier: MIT OR GPL-2.0
/* HTTP dates (RFC 9110, 5.6.7): day arithmetic of the proleptic Gregorian calendar. */
#include "date.h"

#include "text.h"

#define DAY 86400
#define YEAR_0 (-62167219200LL) /* 0000-01-01 00:00:00 */
#define YEAR_9999_END 253402300799LL /* 9999-12-31 23:59:59 */

static const char day_names[] = "SunMonTueWedThuFriSat";
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char *const long_day_names[] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday",
};

struct civil {
	int year;
	int month; /* 1..12 */
	int day; /* 1..31 */
	int hour;
	int minute;
	int second;
};

/*
 * Both directions count years from 1 March, so that the leap day is the last of its year and
 * (153 * m + 2) / 5 days precede month m (March = 0). 400 years are 146097 days; 0000-03-01 is
 * day -719468.
 */
static s64 days_of(int year, int month, int day)
{
	int y = year - (month <= 2) + 400; /* not negative for any year that is asked for */
	int era = y / 400;
	int year_of_era = y % 400;
	int m = (month + 9) % 12;
	int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
			 (153 * m + 2) / 5 + day - 1;

	return (s64)(era - 1) * 146097 + day_of_era - 719468;
}

static s64 seconds_of(const struct civil *c)
{
	return days_of(c->year, c->month, c->day) * DAY + c->hour * 3600 + c->minute * 60 +
	       c->second;
}

static struct civil civil_of(u32 days_since_year_0)
{
	u32 d = days_since_year_0 + 146097 - 60; /* since -0400-03-01 */
	u32 era = d / 146097;
	u32 day_of_era = d % 146097;
	u32 year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	u32 day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	u32 m = (5 * day_of_year + 2) / 153;
	struct civil c = {
		.year = (int)(era * 400 + year_of_era) - 400 + (m >= 10),
		.month = m < 10 ? m + 3 : m - 9,
		.day = day_of_year - (153 * m + 2) / 5 + 1,
	};

	return c;
}

static void put_two(char *p, u32 value)
{
	p[0] = '0' + value / 10;
	p[1] = '0' + value % 10;
}

void khttpd_date_format(char *buf, s64 seconds)
{
	u32 days, time;
	struct civil c;

	if (seconds < YEAR_0)
		seconds = YEAR_0;
	if (seconds > YEAR_9999_END)
		seconds = YEAR_9999_END;
	days = (u64)(seconds - YEAR_0) / DAY;
	time = (u64)(seconds - YEAR_0) % DAY;
	c = civil_of(days);

	memcpy(buf, "Sun, 00 Jan 0000 00:00:00 GMT", KHTTPD_DATE_LEN);
	memcpy(buf, day_names + (days + 6) % 7 * 3, 3); /* 0000-01-01 was a Saturday */
	put_two(buf + 5, c.day);
	memcpy(buf + 8, month_names + (c.month - 1) * 3, 3);
	put_two(buf + 12, c.year / 100);
	put_two(buf + 14, c.year % 100);
	put_two(buf + 17, time / 3600);
	put_two(buf + 20, time / 60 % 60);
	put_two(buf + 23, time % 60);
}

/* @len digits at @p as a number, or -1. */
static int number(const char *p, u32 len)
{
	int value = 0;

	for (; len; len--, p++) {
		if (!khttpd_is_digit(*p))
			return -1;
		value = value * 10 + (*p - '0');
	}
	return value;
}

/* Which of the three-letter @names is at @p? The names of HTTP-date know one case only. */
static int name_index(const char *p, const char *names, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (!memcmp(p, names + i * 3, 3))
			return i;
	return -1;
}

/* "08:49:37" */
static bool parse_time(const char *p, struct civil *c)
{
	if (p[2] != ':' || p[5] != ':')
		return false;
	c->hour = number(p, 2);
	c->minute = number(p + 3, 2);
	c->second = number(p + 6, 2);
	/* 60 is a leap second; it counts as the second after it. */
	return c->hour >= 0 && c->hour <= 23 && c->minute >= 0 && c->minute <= 59 &&
	       c->second >= 0 && c->second <= 60;
}

static bool parse_month(const char *p, struct civil *c)
{
	c->month = name_index(p, month_names, 12) + 1;
	return c->month > 0;
}

static bool day_exists(const struct civil *c)
{
	static const u8 lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);

	return c->day >= 1 && c->day <= lengths[c->month - 1] + (c->month == 2 && leap);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_imf(const char *p, struct civil *c)
{
	if (name_index(p, day_names, 7) < 0 || memcmp(p + 3, ", ", 2) || p[7] != ' ' ||
	    p[11] != ' ' || p[16] != ' ' || memcmp(p + 25, " GMT", 4))
		return false;
	c->day = number(p + 5, 2);
	c->year = number(p + 12, 4);
	return c->year >= 0 && parse_month(p + 8, c) && parse_time(p + 17, c);
}

/* "Sun Nov  6 08:49:37 1994" */
static bool parse_asctime(const char *p, struct civil *c)
{
	if (name_index(p, day_names, 7) < 0 || p[3] != ' ' || p[7] != ' ' || p[10] != ' ' ||
	    p[19] != ' ')
		return false;
	c->day = p[8] == ' ' ? number(p + 9, 1) : number(p + 8, 2);
	c->year = number(p + 20, 4);
	return c->year >= 0 && parse_month(p + 4, c) && parse_time(p + 11, c);
}

/*
 * "Sunday, 06-Nov-94 08:49:37 GMT". The year is the latest with these two digits that is not
 * more than 50 years ahead (RFC 9110, 5.6.7).
 */
static bool parse_rfc850(struct khttpd_str s, s64 now, struct civil *c)
{
	struct civil earlier;
	const char *p;
	u32 i, len;

	for (i = 0; i < 7; i++) {
		len = strlen(long_day_names[i]);
		if (s.len == len + 24 && !memcmp(s.p, long_day_names[i], len))
			break;
	}
	if (i == 7)
		return false;
	p = s.p + len;
	if (memcmp(p, ", ", 2) || p[4] != '-' || p[8] != '-' || p[11] != ' ' ||
	    memcmp(p + 20, " GMT", 4))
		return false;
	c->day = number(p + 2, 2);
	c->year = number(p + 9, 2);
	if (c->year < 0 || !parse_month(p + 5, c) || !parse_time(p + 12, c))
		return false;

	if (now < YEAR_0)
		now = YEAR_0;
	if (now > YEAR_9999_END)
		now = YEAR_9999_END;
	earlier = civil_of((u64)(now - YEAR_0) / DAY);
	c->year += earlier.year / 100 * 100 + 100;
	do {
		earlier = *c;
		earlier.year -= 50;
		if (seconds_of(&earlier) <= now)
			break;
		c->year -= 100;
	} while (c->year >= 100);
	return true;
}

bool khttpd_date_parse(struct khttpd_str s, s64 now, s64 *seconds)
{
	struct civil c = { 0 };
	bool ok;

	if (s.len == 29 && s.p[3] == ',')
		ok = parse_imf(s.p, &c);
	else if (s.len == 24 && s.p[3] == ' ')
		ok = parse_asctime(s.p, &c);
	else
		ok = parse_rfc850(s, now, &c);
	if (!ok || !day_exists(&c))
		return false;
	*seconds = seconds_of(&c);
	return true;
}
