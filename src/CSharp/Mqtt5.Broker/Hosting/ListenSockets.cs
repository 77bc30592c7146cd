using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Mqtt5.Serving;

namespace Mqtt5.Hosting;

// Binds the sockets of the listeners, which are streams: ordered and without loss in both directions [MQTT-4.2.0-1]
// [MQTT3-7.1.1-1]. Explains failures of the operating system in terms of MQTT.
internal static class ListenSockets
{
    private const UnixFileMode DefaultMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    // The error codes for opening a socket as a file: Linux and macOS.
    private const int NoSuchDevice = 6;
    private const int NotSupported = 102;

    // A peer that vanished is noticed after two minutes: a minute of silence, and six probes without an answer.
    private const int KeepAliveIdleSeconds = 60;
    private const int KeepAliveProbeSeconds = 10;
    private const int KeepAliveProbes = 6;

    public static Socket Bind(EndPoint endPoint, Listener? listener, ILogger logger)
    {
        try
        {
            return endPoint is UnixDomainSocketEndPoint unix
                ? BindUnix(unix, listener!, logger)
                : WithKeepAlive(SocketTransportOptions.CreateDefaultBoundListenSocket(endPoint));
        }
        catch (Exception failure) when (failure is SocketException or UnauthorizedAccessException)
        {
            throw new IOException(Describe(endPoint, failure), failure);
        }
    }

    // Accepted sockets inherit it. The operating system then ends connections whose peer vanished without a word, also those
    // that MQTT does not watch because their Keep Alive is 0.
    private static Socket WithKeepAlive(Socket socket)
    {
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, KeepAliveIdleSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, KeepAliveProbeSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, KeepAliveProbes);
        return socket;
    }

    // The reason why binding failed, as a sentence without a full stop.
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

    // The mode is set before listening, so that no peer connects under a more permissive one.
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

    // A crashed process leaves its socket behind. It is removed if no process listens on it; any other file is left alone.
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

    // .NET does not tell sockets from regular files, but opening a socket as a file fails.
    private static bool IsSocket(string path)
    {
        if (Directory.Exists(path) || File.ResolveLinkTarget(path, returnFinalTarget: false) is not null)
            return false;

        try
        {
            // Opening for reading and writing does not block on a FIFO.
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
