// uWebSockets as its own users run it: a page says hello and is ready, without any cryptography, and subscribes to a topic. It is told
// to push as the agent is, by a JSON-RPC call a line on a Unix socket, of which it takes what it needs and checks nothing.
//
//   server CONTROL-SOCKET LENGTH-OF-READY LENGTH-OF-A-STATE

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "App.h"

namespace {

constexpr const char *topic = "states";

struct Page {};

uWS::App *app;
constexpr std::string_view hello = R"({"type":"hello","v":1,"nonce":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"})";
std::string ready = R"({"type":"ready","seq":1})";
std::size_t state_length;
unsigned long long seq = 0;

uWS::App::WebSocketBehavior<Page> pages() {
    uWS::App::WebSocketBehavior<Page> behavior;
    behavior.compression = uWS::DISABLED;
    behavior.maxPayloadLength = 8 * 1024;
    // Nobody speaks but the server, and that for as long as it is measured.
    behavior.idleTimeout = 0;
    behavior.sendPingsAutomatically = false;
    behavior.open = [](auto *page) { page->send(hello, uWS::OpCode::TEXT); };
    behavior.message = [](auto *page, std::string_view, uWS::OpCode) {
        page->send(ready, uWS::OpCode::TEXT);
        page->subscribe(topic);
    };
    return behavior;
}

// A member's value as it stands in the text.
std::string_view member(std::string_view text, std::string_view name) {
    const auto at = text.find(name);
    const auto value = at == std::string_view::npos ? std::string_view("0") : text.substr(at + name.size());
    return value.substr(0, value.find_first_of(",}"));
}

void push(us_socket_t *client, std::string_view call) {
    using std::chrono::system_clock;
    const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch()).count();
    std::string state = R"({"type":"state","seq":)" + std::to_string(++seq) + R"(,"state":{"presence":)";
    state.append(member(call, R"("presence":)")).append(R"(,"since":)").append(std::to_string(since)).append(R"(,"epoch":1}})");
    state.resize(std::max(state.size(), state_length), ' ');
    app->publish(topic, state, uWS::OpCode::TEXT);
    std::string answer = R"({"jsonrpc":"2.0","id":)";
    answer.append(member(call, R"("id":)")).append(R"(,"result":{"seq":)").append(std::to_string(seq)).append("}}\n");
    us_socket_write(0, client, answer.data(), static_cast<int>(answer.size()), 0);
}

// Whoever tells it to push, one call at a time.
bool listen_for_clients(const char *path) {
    us_socket_context_t *clients = us_create_socket_context(0, reinterpret_cast<us_loop_t *>(uWS::Loop::get()), 0, {});
    us_socket_context_on_open(0, clients, [](us_socket_t *client, int, char *, int) { return client; });
    us_socket_context_on_data(0, clients, [](us_socket_t *client, char *call, int length) {
        push(client, {call, static_cast<std::size_t>(length)});
        return client;
    });
    us_socket_context_on_end(0, clients, [](us_socket_t *client) { return us_socket_close(0, client, 0, nullptr); });
    const auto ignore = [](us_socket_t *client) { return client; };
    us_socket_context_on_writable(0, clients, ignore);
    us_socket_context_on_timeout(0, clients, ignore);
    us_socket_context_on_close(0, clients, [](us_socket_t *client, int, void *) { return client; });
    return us_socket_context_listen_unix(0, clients, path, 0, 0) != nullptr;
}

} // namespace

int main(int count, char **arguments) {
    if (count != 4) {
        std::fputs("uwebsockets: wants a path and two lengths\n", stderr);
        return 2;
    }
    ready.resize(std::strtoul(arguments[2], nullptr, 10), ' ');
    state_length = std::strtoul(arguments[3], nullptr, 10);
    uWS::App serving;
    app = &serving;
    serving.ws<Page>("/v1", pages());
    int port = 0;
    serving.listen("127.0.0.1", 0, [&port](us_listen_socket_t *socket) {
        if (socket != nullptr) {
            port = us_socket_local_port(0, reinterpret_cast<us_socket_t *>(socket));
        }
    });
    if (port == 0 || !listen_for_clients(arguments[1])) {
        std::fputs("uwebsockets: cannot listen\n", stderr);
        return 1;
    }
    std::printf(R"({"port":%d,"trigger":{"Control":"%s"}})" "\n", port, arguments[1]);
    std::fflush(stdout);
    serving.run();
}
