// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An echo by unary gRPC over TLS, with the blocking client and the server of
 * libgrpc++'s own examples; for tests/bench/call.sh:
 *
 *	call_grpc serve PORT CERT KEY		prints "ready"; until it is killed
 *	call_grpc ADDRESS PORT COUNT CERT	what it prints is in call_measure.h
 */
#include <fstream>
#include <grpcpp/grpcpp.h>
#include <iterator>
#include <memory>
#include <string>

#include "call_grpc.grpc.pb.h"
#include "call_measure.h"

using call_grpc::Bytes;
using call_grpc::Echo;

static std::string text_of(const char *path)
{
	std::ifstream f(path);

	return { std::istreambuf_iterator<char>(f), {} };
}

class Service final : public Echo::Service {
	grpc::Status Call(grpc::ServerContext *, const Bytes *asked,
			  Bytes *answer) override
	{
		answer->set_data(asked->data());
		return grpc::Status::OK;
	}
};

static int serve(char **argv)
{
	grpc::SslServerCredentialsOptions tls;
	grpc::ServerBuilder builder;
	Service service;

	tls.pem_key_cert_pairs.push_back({ text_of(argv[4]), text_of(argv[3]) });
	builder.AddListeningPort(std::string("0.0.0.0:") + argv[2],
				 grpc::SslServerCredentials(tls));
	builder.RegisterService(&service);
	std::unique_ptr<grpc::Server> server(builder.BuildAndStart());
	if (!server)
		return 1;
	puts("ready");
	fflush(stdout);
	server->Wait();
	return 1;
}

static void call(void *stub, const char *sent, char *got)
{
	grpc::ClientContext context;
	Bytes asked, answer;

	asked.set_data(sent, CALL_BYTES);
	grpc::Status status =
		static_cast<Echo::Stub *>(stub)->Call(&context, asked, &answer);
	if (!status.ok() || answer.data().size() != CALL_BYTES) {
		fprintf(stderr, "%s\n", status.error_message().c_str());
		exit(1);
	}
	memcpy(got, answer.data().data(), CALL_BYTES);
}

int main(int argc, char **argv)
{
	grpc::SslCredentialsOptions tls;

	if (argc != 5)
		return 2;
	if (!strcmp(argv[1], "serve"))
		return serve(argv);
	tls.pem_root_certs = text_of(argv[4]);
	auto stub = Echo::NewStub(grpc::CreateChannel(
		std::string(argv[1]) + ":" + argv[2],
		grpc::SslCredentials(tls)));
	call_measure(strtoul(argv[3], nullptr, 10), call, stub.get());
	return 0;
}
