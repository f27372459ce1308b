// SPDX-License-Identifier: MIT OR GPL-2.0
/* Parts of URIs (RFC 3986): authority and path. */
#include "uri.h"

#include "text.h"

static bool parse_dec_octet(struct khttpd_str s, u32 *i)
{
	u32 first = *i, value = 0;

	while (*i < s.len && *i - first < 3 && khttpd_is_digit(s.p[*i]))
		value = value * 10 + (s.p[(*i)++] - '0');
	return *i > first && value <= 255 && (*i - first == 1 || s.p[first] != '0');
}

/* RFC 3986, 3.2.2, IPv6address. IPvFuture and zones (RFC 6874, withdrawn) do not exist here. */
static bool is_ipv6(struct khttpd_str s)
{
	u32 i = 0, first, groups = 0, octet;
	bool gap = false;

	if (s.len >= 2 && s.p[0] == ':' && s.p[1] == ':') {
		gap = true;
		i = 2;
	}
	while (i < s.len) {
		first = i;
		while (i < s.len && i - first < 4 && khttpd_hex_value(s.p[i]) >= 0)
			i++;
		if (i < s.len && s.p[i] == '.') { /* the last 32 bits as IPv4 */
			i = first;
			for (octet = 0; octet < 4; octet++) {
				if (octet && (i == s.len || s.p[i++] != '.'))
					return false;
				if (!parse_dec_octet(s, &i))
					return false;
			}
			groups += 2;
			if (i < s.len)
				return false;
			break;
		}
		if (i == first)
			return false;
		groups++;
		if (i == s.len)
			break;
		if (s.p[i++] != ':' || i == s.len)
			return false;
		if (s.p[i] == ':') {
			if (gap)
				return false;
			gap = true;
			i++;
		}
	}
	return gap ? groups <= 7 : groups == 8;
}

bool khttpd_parse_authority(struct khttpd_str s, struct khttpd_str *host, u32 *port_len)
{
	const char *p = s.p, *end = s.p + s.len, *port;

	if (p < end && *p == '[') {
		while (p < end && *p != ']')
			p++;
		if (p == end || !is_ipv6((struct khttpd_str){ s.p + 1, p - s.p - 1 }))
			return false;
		p++;
	} else {
		for (;;) {
			while (end - p >= 4 && khttpd_class_of[(u8)p[0]] &
						       khttpd_class_of[(u8)p[1]] &
						       khttpd_class_of[(u8)p[2]] &
						       khttpd_class_of[(u8)p[3]] & KHTTPD_HOST)
				p += 4;
			while (p < end && khttpd_is_class(*p, KHTTPD_HOST))
				p++;
			if (likely(p == end || *p != '%'))
				break;
			if (end - p < 3 || khttpd_hex_value(p[1]) < 0 || khttpd_hex_value(p[2]) < 0)
				return false;
			p += 3;
		}
	}
	*host = (struct khttpd_str){ s.p, p - s.p };
	*port_len = 0;
	if (p == end)
		return host->len > 0;
	if (*p++ != ':' || !host->len)
		return false;
	for (port = p; p < end && khttpd_is_digit(*p);)
		p++;
	*port_len = p - port;
	return p == end && (*port_len < 5 || (*port_len == 5 && memcmp(port, "65535", 5) <= 0));
}

bool khttpd_decode_path(struct khttpd_str path, char *out, struct khttpd_str *decoded)
{
	u32 i = 0, n = 0, segment = 0; /* @segment: where the last one begins in @out */
	int high, low;
	bool end;
	char c;

	do {
		end = i == path.len;
		if (!end) {
			c = path.p[i++];
			if (c == '%') {
				if (path.len - i < 2)
					return false;
				high = khttpd_hex_value(path.p[i++]);
				low = khttpd_hex_value(path.p[i++]);
				if (high < 0 || low < 0 || !(high | low))
					return false;
				c = high << 4 | low;
			}
			if (c != '/') {
				out[n++] = c;
				continue;
			}
		}
		if (n - segment == 1 && out[segment] == '.') {
			n = segment;
		} else if (n - segment == 2 && out[segment] == '.' && out[segment + 1] == '.') {
			if (segment == 1)
				return false;
			for (n = segment - 1; out[n - 1] != '/'; n--)
				;
		} else if (!end) {
			out[n++] = '/';
		}
		segment = n;
	} while (!end);
	*decoded = (struct khttpd_str){ out, n };
	return true;
}
