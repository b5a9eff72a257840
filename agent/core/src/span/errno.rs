//! Names of the errors a call on a socket can end with.

/// `error.type` of an errno: its C name (`include/uapi/asm-generic/errno*.h`, the same on every supported
/// architecture), or OpenTelemetry's `_OTHER`.
pub(super) const fn name(errno: i32) -> &'static str {
    match errno {
        1 => "EPERM",
        4 => "EINTR",
        5 => "EIO",
        9 => "EBADF",
        11 => "EAGAIN",
        12 => "ENOMEM",
        13 => "EACCES",
        14 => "EFAULT",
        22 => "EINVAL",
        32 => "EPIPE",
        71 => "EPROTO",
        74 => "EBADMSG",
        90 => "EMSGSIZE",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        102 => "ENETRESET",
        103 => "ECONNABORTED",
        104 => "ECONNRESET",
        105 => "ENOBUFS",
        107 => "ENOTCONN",
        108 => "ESHUTDOWN",
        110 => "ETIMEDOUT",
        111 => "ECONNREFUSED",
        112 => "EHOSTDOWN",
        113 => "EHOSTUNREACH",
        125 => "ECANCELED",
        _ => "_OTHER",
    }
}
