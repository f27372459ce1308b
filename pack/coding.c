// SPDX-License-Identifier: MIT OR GPL-2.0
/* Content codings, by libdeflate, libbrotli and libzstd. */
#include "coding.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <libdeflate.h>
#include <zstd.h>

#include "pack.h"
#include "util.h"

const char *const coding_names[KHTTPD_CODINGS] = { "identity", "gzip", "br", "zstd" };
const char *const coding_endings[KHTTPD_CODINGS] = { "", ".gz", ".br", ".zst" };

/* Browsers refuse a larger window (RFC 9659); no level below has one. */
#define ZSTD_WINDOW_LOG 23

/* What a level of ours means: up to 9 what all of them call so, then the way to their best. */
static const struct {
	int gzip, br, zstd;
} levels[PACK_MAX_LEVEL + 1] = {
	{ 1, 1, 1 }, { 1, 1, 1 }, { 2, 2, 2 }, { 3, 3, 3 }, { 4, 4, 4 },    { 5, 5, 5 },
	{ 6, 6, 6 }, { 7, 7, 7 }, { 8, 8, 8 }, { 9, 9, 9 }, { 10, 10, 15 }, { 12, 11, 19 },
};

struct coder {
	int br;
	struct libdeflate_compressor *gzip;
	struct libdeflate_decompressor *gunzip;
	ZSTD_CCtx *zstd;
	ZSTD_DCtx *unzstd;
};

struct coder *coder_new(int level)
{
	struct coder *c = must(calloc(1, sizeof(*c)));

	c->br = levels[level].br;
	c->gzip = must(libdeflate_alloc_compressor(levels[level].gzip));
	c->gunzip = must(libdeflate_alloc_decompressor());
	c->zstd = must(ZSTD_createCCtx());
	c->unzstd = must(ZSTD_createDCtx());
	ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, levels[level].zstd);
	ZSTD_DCtx_setParameter(c->unzstd, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
	return c;
}

void coder_free(struct coder *c)
{
	if (!c)
		return;
	libdeflate_free_compressor(c->gzip);
	libdeflate_free_decompressor(c->gunzip);
	ZSTD_freeCCtx(c->zstd);
	ZSTD_freeDCtx(c->unzstd);
	free(c);
}

/* Each gives the length of the result, or 0 if it does not fit. */

static size_t encode_brotli(const struct coder *c, const void *data, size_t len, bool text,
			    void *out, size_t max)
{
	int window = BROTLI_MIN_WINDOW_BITS;
	size_t n = max;

	while (window < BROTLI_MAX_WINDOW_BITS && ((size_t)1 << window) - 16 < len)
		window++;
	if (!BrotliEncoderCompress(c->br, window, text ? BROTLI_MODE_TEXT : BROTLI_MODE_GENERIC,
				   len, data, &n, out))
		return 0;
	return n;
}

static size_t encode_zstd(const struct coder *c, const void *data, size_t len, void *out,
			  size_t max)
{
	size_t n = ZSTD_compress2(c->zstd, out, max, data, len);

	return ZSTD_isError(n) ? 0 : n;
}

void *coder_encode(struct coder *c, enum khttpd_coding coding, const void *data, uint32_t len,
		   bool text, uint32_t max, uint32_t *out_len)
{
	void *out = must(malloc(max ? max : 1));
	size_t n = 0;

	switch (coding) {
	case KHTTPD_GZIP:
		n = libdeflate_gzip_compress(c->gzip, data, len, out, max);
		break;
	case KHTTPD_BR:
		n = encode_brotli(c, data, len, text, out, max);
		break;
	case KHTTPD_ZSTD:
		n = encode_zstd(c, data, len, out, max);
		break;
	default:
		break;
	}
	if (!n || n > max) {
		free(out);
		return NULL;
	}
	*out_len = n;
	return must(realloc(out, n));
}

/* A gzip file may have several members. */
static bool decode_gzip(struct coder *c, const char *coded, size_t coded_len, char *out, size_t len)
{
	size_t taken, given;

	do {
		if (libdeflate_gzip_decompress_ex(c->gunzip, coded, coded_len, out, len, &taken,
						  &given) != LIBDEFLATE_SUCCESS)
			return false;
		coded += taken;
		coded_len -= taken;
		out += given;
		len -= given;
	} while (coded_len);
	return !len;
}

static bool decode_brotli(const void *coded, size_t coded_len, void *out, size_t len)
{
	BrotliDecoderState *state = must(BrotliDecoderCreateInstance(NULL, NULL, NULL));
	size_t room = len;
	const uint8_t *in = coded;
	uint8_t *to = out;
	bool done;

	done = BrotliDecoderDecompressStream(state, &coded_len, &in, &room, &to, NULL) ==
		       BROTLI_DECODER_RESULT_SUCCESS &&
	       !coded_len && !room;
	BrotliDecoderDestroyInstance(state);
	return done;
}

/* By streaming: ZSTD_decompressDCtx() does not mind how large the window is. */
static bool decode_zstd(struct coder *c, const void *coded, size_t coded_len, void *out, size_t len)
{
	ZSTD_inBuffer in = { coded, coded_len, 0 };
	ZSTD_outBuffer to = { out, len, 0 };
	size_t left;

	ZSTD_DCtx_reset(c->unzstd, ZSTD_reset_session_only);
	do {
		left = ZSTD_decompressStream(c->unzstd, &to, &in);
	} while (!ZSTD_isError(left) && in.pos < in.size && (left || to.pos < to.size));
	return !ZSTD_isError(left) && !left && in.pos == in.size && to.pos == to.size;
}

bool coder_decodes(struct coder *c, enum khttpd_coding coding, const void *coded,
		   uint32_t coded_len, const void *data, uint32_t len)
{
	char *out = must(malloc(len + 1ULL));
	bool same = false;

	switch (coding) {
	case KHTTPD_GZIP:
		same = decode_gzip(c, coded, coded_len, out, len);
		break;
	case KHTTPD_BR:
		same = decode_brotli(coded, coded_len, out, len);
		break;
	case KHTTPD_ZSTD:
		same = decode_zstd(c, coded, coded_len, out, len);
		break;
	default:
		break;
	}
	same = same && !memcmp(out, data, len);
	free(out);
	return same;
}
