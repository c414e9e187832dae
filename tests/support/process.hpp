// Running the command as a person would: arguments and input in, status, output and errors out; and a folder to work
// in.
#ifndef CRS_TEST_PROCESS_HPP
#define CRS_TEST_PROCESS_HPP

#include <string>
#include <sys/types.h>
#include <vector>

struct Result {
    int status = -1; // exit status, or 128 + the signal that ended it
    std::string out, err;
};

struct RunOptions {
    std::string input;         // standard input
    std::string folder;        // working directory, "" for this one
    long file_limit = 0;       // bytes a file may grow to (RLIMIT_FSIZE), 0 for no limit
    const char *out = nullptr; // file for standard output instead of Result::out
};

// arguments[0] is the program.
Result run(const std::vector<std::string> &arguments, const RunOptions &options = {});

// A process that is talked to through pipes.
class Process {
  public:
    explicit Process(const std::vector<std::string> &arguments, bool terminal = false);
    ~Process();
    Process(const Process &) = delete;
    Process &operator=(const Process &) = delete;
    void write(const std::string &text);
    // What comes until `text` has been seen, the end, or ten seconds (a minute under a sanitizer) without it.
    std::string read_until(const std::string &text);
    void close_input();
    void kill(int signal);
    int wait(); // as Result::status

  private:
    pid_t child = -1;
    int in = -1, out = -1; // out: standard output; of a terminal, errors too
};

// A new folder below the temporary one, removed with all that is in it.
class Folder {
  public:
    Folder();
    ~Folder();
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    std::string operator/(const std::string &name) const {
        return path + "/" + name;
    }
    std::string write(const std::string &name, const std::string &content) const; // returns the path
    std::vector<std::string> names() const;
    std::string path;
};

std::string read_file(const std::string &path);
bool is_file(const std::string &path);

#endif
