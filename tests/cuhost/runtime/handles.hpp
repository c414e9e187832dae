/* Which handles of a kind are alive: to count them, and to know one that is not. */
#ifndef CUHOST_RUNTIME_HANDLES_HPP
#define CUHOST_RUNTIME_HANDLES_HPP

#include <cstddef>
#include <cstdint>
#include <set>

namespace cuhost {

/* An address that the leak sanitizer does not know for one: what only the layer remembers is leaked. */
inline uintptr_t hidden(const void *address) {
    return ~reinterpret_cast<uintptr_t>(address);
}
inline void *shown(uintptr_t address) {
    return reinterpret_cast<void *>(~address);
}

template <class T> class Handles {
  public:
    T *create() {
        T *handle = new T();
        alive_.insert(hidden(handle));
        return handle;
    }
    /* False: there is no such handle. */
    bool destroy(T *handle) {
        if (!alive_.erase(hidden(handle)))
            return false;
        delete handle;
        return true;
    }
    bool has(const T *handle) const {
        return alive_.count(hidden(handle)) > 0;
    }
    size_t size() const {
        return alive_.size();
    }
    template <class Function> void for_each(Function function) const {
        for (uintptr_t address : alive_)
            function(*static_cast<T *>(shown(address)));
    }

  private:
    std::set<uintptr_t> alive_;
};

/* The one list of the kind, never destroyed: handles may be freed late. */
template <class T> Handles<T> &handles() {
    static Handles<T> *all = new Handles<T>;
    return *all;
}

} // namespace cuhost

#endif
