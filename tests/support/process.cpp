#include "process.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <pty.h>
#include <sstream>
#include <stdexcept>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

#ifdef CRS_SANITIZED
constexpr int patience_seconds = 60;
#else
constexpr int patience_seconds = 10;
#endif

[[noreturn]] void execute(const std::vector<std::string> &arguments) {
    std::vector<char *> pointers;
    for (const std::string &argument : arguments)
        pointers.push_back(const_cast<char *>(argument.c_str()));
    pointers.push_back(nullptr);
    execvp(pointers[0], pointers.data());
    _exit(127);
}

int status_of(int waited) {
    return WIFEXITED(waited) ? WEXITSTATUS(waited) : 128 + WTERMSIG(waited);
}

std::string drain(int descriptor) {
    std::string text;
    char buffer[65536];
    for (ssize_t n; (n = read(descriptor, buffer, sizeof buffer)) != 0;) {
        if (n < 0 && errno != EINTR)
            break;
        if (n > 0)
            text.append(buffer, static_cast<size_t>(n));
    }
    close(descriptor);
    return text;
}

void feed(int descriptor, const std::string &text) {
    for (size_t done = 0; done < text.size();) {
        ssize_t n = ::write(descriptor, text.data() + done, text.size() - done);
        if (n < 0 && errno != EINTR)
            break; // the reader has gone
        done += n > 0 ? static_cast<size_t>(n) : 0;
    }
    close(descriptor);
}

void make_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC) != 0)
        throw std::runtime_error("pipe failed");
}

} // namespace

Result run(const std::vector<std::string> &arguments, const RunOptions &options) {
    signal(SIGPIPE, SIG_IGN);
    int in[2], out[2], err[2];
    make_pipe(in);
    make_pipe(out);
    make_pipe(err);
    pid_t child = fork();
    if (child == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(options.out ? open(options.out, O_WRONLY) : out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        if (!options.folder.empty() && chdir(options.folder.c_str()) != 0)
            _exit(126);
        if (options.file_limit > 0) {
            rlimit limit = {static_cast<rlim_t>(options.file_limit), static_cast<rlim_t>(options.file_limit)};
            setrlimit(RLIMIT_FSIZE, &limit);
        }
        execute(arguments);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    Result result;
    std::thread writer([&] { feed(in[1], options.input); });
    std::thread reader([&] { result.err = drain(err[0]); });
    result.out = drain(out[0]);
    writer.join();
    reader.join();
    int waited = 0;
    waitpid(child, &waited, 0);
    result.status = status_of(waited);
    return result;
}

Process::Process(const std::vector<std::string> &arguments, bool terminal) {
    signal(SIGPIPE, SIG_IGN);
    if (terminal) {
        winsize size = {40, 120, 0, 0};
        child = forkpty(&out, nullptr, nullptr, &size);
        if (child == 0)
            execute(arguments);
        in = dup(out);
        return;
    }
    int to[2], from[2];
    make_pipe(to);
    make_pipe(from);
    child = fork();
    if (child == 0) {
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        execute(arguments);
    }
    close(to[0]);
    close(from[1]);
    in = to[1];
    out = from[0];
}

Process::~Process() {
    close_input();
    if (out >= 0)
        close(out);
    if (child > 0) {
        kill(SIGKILL);
        wait();
    }
}

void Process::write(const std::string &text) {
    if (::write(in, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        throw std::runtime_error("the process does not read");
}

std::string Process::read_until(const std::string &text) {
    using clock = std::chrono::steady_clock;
    std::string got;
    auto end = clock::now() + std::chrono::seconds(patience_seconds);
    while (got.find(text) == std::string::npos) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - clock::now()).count();
        pollfd waiting = {out, POLLIN, 0};
        if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) <= 0)
            break;
        char buffer[4096];
        ssize_t n = ::read(out, buffer, sizeof buffer);
        if (n <= 0)
            break;
        got.append(buffer, static_cast<size_t>(n));
    }
    return got;
}

void Process::close_input() {
    if (in >= 0)
        close(in);
    in = -1;
}

void Process::kill(int signal) {
    ::kill(child, signal);
}

int Process::wait() {
    int waited = 0;
    if (child > 0)
        waitpid(child, &waited, 0);
    child = -1;
    return status_of(waited);
}

Folder::Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "carousel-test-XXXXXX").string();
    if (!mkdtemp(name.data()))
        throw std::runtime_error("no temporary folder");
    path = name;
}

Folder::~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
}

std::string Folder::write(const std::string &name, const std::string &content) const {
    std::string file = *this / name;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path());
    std::ofstream(file, std::ios::binary) << content;
    return file;
}

std::vector<std::string> Folder::names() const {
    std::vector<std::string> found;
    for (const auto &entry : std::filesystem::directory_iterator(path))
        found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
}

std::string read_file(const std::string &path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

bool is_file(const std::string &path) {
    return std::filesystem::is_regular_file(path);
}
