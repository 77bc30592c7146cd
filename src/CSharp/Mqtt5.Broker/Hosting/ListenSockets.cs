using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// Binds the sockets of the listeners, and says in terms of MQTT what the machine does not give.
internal static class ListenSockets
{
    private const UnixFileMode DefaultMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    // What the operating system says of the attempt to open a socket as a file: Linux, and macOS.
    private const int NoSuchDevice = 6;
    private const int NotSupported = 102;

    public static Socket Bind(EndPoint endPoint, Listener? listener, ILogger logger)
    {
        try
        {
            return endPoint is UnixDomainSocketEndPoint unix
                ? BindUnix(unix, listener!, logger)
                : SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint);
        }
        catch (Exception failure) when (failure is SocketException or UnauthorizedAccessException)
        {
            throw new IOException(Describe(endPoint, failure), failure);
        }
    }

    // Why it cannot be listened at an address, as a sentence without a full stop.
    public static string Describe(EndPoint endPoint, Exception failure)
    {
        var what = failure is SocketException socket ? Reason(endPoint, socket) : "permission is missing";
        return $"it cannot be listened at {endPoint}: {what}";
    }

    private static string Reason(EndPoint endPoint, SocketException failure) =>
        (failure.SocketErrorCode, endPoint) switch
        {
            (SocketError.AddressAlreadyInUse, _) => "the address is in use",
            (SocketError.AccessDenied, IPEndPoint { Port: > 0 and < 1024 }) => "permission is missing; ports below 1024 may need a right of their own",
            (SocketError.AccessDenied, _) => "permission is missing",
            (SocketError.AddressNotAvailable, IPEndPoint) => "the address is not one of this machine",
            (SocketError.AddressNotAvailable, _) => "its folder does not exist",
            (SocketError.AddressFamilyNotSupported, _) => "this machine has no addresses of this kind",
            (SocketError.TooManyOpenSockets, _) => "the process has no descriptors left",
            _ => failure.Message,
        };

    // The mode is set before the socket listens, so nobody connects with another one.
    private static Socket BindUnix(UnixDomainSocketEndPoint endPoint, Listener listener, ILogger logger)
    {
        var path = listener.Path!;

        if (Path.GetDirectoryName(path) is { Length: > 0 } folder && !Directory.Exists(folder))
            throw new IOException($"it cannot be listened at {path}: the folder {folder} does not exist");

        Release(path, logger);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        try
        {
            socket.Bind(endPoint);

            if (listener.UnixMode is { } mode && !OperatingSystem.IsWindows())
                File.SetUnixFileMode(path, mode & DefaultMode);

            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    // A process that crashes leaves its socket behind. It is removed where nothing listens at it; anything else at the path
    // stays as it is.
    private static void Release(string path, ILogger logger)
    {
        if (!Path.Exists(path))
            return;

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException failure) when (failure.SocketErrorCode == SocketError.ConnectionRefused && IsSocket(path))
        {
            File.Delete(path);
            Log.SocketTakenOver(logger, path);
            return;
        }
        catch (SocketException) when (!IsSocket(path))
        {
            throw new IOException($"it cannot be listened at {path}: what is there is no socket");
        }
        catch (SocketException failure)
        {
            throw new IOException($"it cannot be listened at {path}: {failure.Message}", failure);
        }

        throw new IOException($"it cannot be listened at {path}: the address is in use, something listens there");
    }

    // The framework does not tell sockets from files; but a socket cannot be opened.
    private static bool IsSocket(string path)
    {
        if (Directory.Exists(path) || File.ResolveLinkTarget(path, returnFinalTarget: false) is not null)
            return false;

        try
        {
            // For reading and writing, which does not wait at a pipe.
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            return false;
        }
        catch (IOException failure)
        {
            return failure.HResult is NoSuchDevice or NotSupported;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }
}
