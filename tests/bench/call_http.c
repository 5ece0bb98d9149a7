// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An echo by HTTP/1.1 over TLS with a JSON body each way, {"data": 64 characters},
 * over a connection that is kept: libmicrohttpd, libcurl, json-c; for
 * tests/bench/call.sh:
 *
 *	call_http serve PORT CERT KEY		prints "ready"; until it is killed
 *	call_http ADDRESS PORT COUNT CERT	what it prints is in call_measure.h
 */
#include <curl/curl.h>
#include <json-c/json.h>
#include <microhttpd.h>

#include "call_measure.h"

enum { BODY_MAX = 1024, PEM_MAX = 16384 };

struct body {
	char bytes[BODY_MAX];
	size_t len;
};

static size_t append(struct body *body, const char *from, size_t len)
{
	if (len > sizeof(body->bytes) - body->len)
		return 0;
	memcpy(body->bytes + body->len, from, len);
	body->len += len;
	return len;
}

/* The object that is in @body; its "data" in @data. */
static struct json_object *parse(const struct body *body, const char **data)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *all, *member;

	all = json_tokener_parse_ex(tokener, body->bytes, (int)body->len);
	json_tokener_free(tokener);
	if (!all || !json_object_object_get_ex(all, "data", &member) ||
	    json_object_get_string_len(member) != CALL_BYTES)
		call_die("JSON");
	*data = json_object_get_string(member);
	return all;
}

static struct json_object *object_of(const char *data)
{
	struct json_object *all = json_object_new_object();

	json_object_object_add(all, "data",
			       json_object_new_string_len(data, CALL_BYTES));
	return all;
}

static enum MHD_Result reply(struct MHD_Connection *connection,
			     const struct body *body)
{
	struct json_object *asked, *answer;
	struct MHD_Response *response;
	enum MHD_Result ret;
	const char *text, *data;

	asked = parse(body, &data);
	answer = object_of(data);
	text = json_object_to_json_string_ext(answer, JSON_C_TO_STRING_PLAIN);
	response = MHD_create_response_from_buffer(strlen(text), (void *)text,
						   MHD_RESPMEM_MUST_COPY);
	MHD_add_response_header(response, "Content-Type", "application/json");
	ret = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	json_object_put(answer);
	json_object_put(asked);
	return ret;
}

static enum MHD_Result on_request(void *data, struct MHD_Connection *connection,
				  const char *url, const char *method,
				  const char *version, const char *upload,
				  size_t *upload_len, void **request)
{
	struct body *body = *request;

	(void)data, (void)url, (void)method, (void)version;
	if (!body) {
		*request = calloc(1, sizeof(*body));
		return *request ? MHD_YES : MHD_NO;
	}
	if (!*upload_len)
		return reply(connection, body);
	if (!append(body, upload, *upload_len))
		return MHD_NO;
	*upload_len = 0;
	return MHD_YES;
}

static void on_end(void *data, struct MHD_Connection *connection, void **request,
		   enum MHD_RequestTerminationCode why)
{
	(void)data, (void)connection, (void)why;
	free(*request);
	*request = NULL;
}

static void read_file(const char *path, char *text)
{
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, PEM_MAX - 1, f) : 0;

	if (!n)
		call_die(path);
	text[n] = '\0';
	fclose(f);
}

static void serve(char **argv)
{
	static char cert[PEM_MAX], key[PEM_MAX];

	read_file(argv[3], cert);
	read_file(argv[4], key);
	if (!MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TLS,
			      (uint16_t)atoi(argv[2]), NULL, NULL, on_request,
			      NULL, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
			      MHD_OPTION_HTTPS_MEM_CERT, cert,
			      MHD_OPTION_HTTPS_MEM_KEY, key, MHD_OPTION_END))
		call_die("MHD_start_daemon");
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static size_t on_body(char *from, size_t size, size_t count, void *body)
{
	return append(body, from, size * count);
}

static void call(void *curl, const char *sent, char *got)
{
	struct json_object *asked = object_of(sent), *answer;
	struct body body = { .len = 0 };
	const char *data, *text;
	CURLcode code;

	text = json_object_to_json_string_ext(asked, JSON_C_TO_STRING_PLAIN);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, text);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(text));
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	code = curl_easy_perform(curl);
	if (code) {
		fprintf(stderr, "%s\n", curl_easy_strerror(code));
		exit(1);
	}
	answer = parse(&body, &data);
	memcpy(got, data, CALL_BYTES);
	json_object_put(answer);
	json_object_put(asked);
}

int main(int argc, char **argv)
{
	struct curl_slist *headers;
	char url[100];
	CURL *curl;

	if (argc != 5)
		return 2;
	if (!strcmp(argv[1], "serve"))
		serve(argv);
	snprintf(url, sizeof(url), "https://%s:%s/echo", argv[1], argv[2]);
	curl_global_init(CURL_GLOBAL_ALL);
	curl = curl_easy_init();
	headers = curl_slist_append(NULL, "Content-Type: application/json");
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_CAINFO, argv[4]);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	call_measure(strtoul(argv[3], NULL, 10), call, curl);
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return 0;
}
