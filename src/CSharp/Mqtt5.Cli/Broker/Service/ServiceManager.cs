using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Mqtt5.Cli;

/// <summary>
/// Tells the service manager what becomes of the broker, by the protocol of sd_notify(3): datagrams to the Unix socket in
/// <c>NOTIFY_SOCKET</c>. Where the process has none, nothing is sent. A message that cannot be sent is lost; the broker goes on.
/// </summary>
internal sealed class ServiceManager : IDisposable
{
    /// <summary>The variable with the path of the socket; a leading @ stands for the abstract namespace.</summary>
    public const string SocketVariable = "NOTIFY_SOCKET";

    /// <summary>The variable with the watchdog's time limit in microseconds.</summary>
    public const string WatchdogVariable = "WATCHDOG_USEC";

    private const string WatchdogProcessVariable = "WATCHDOG_PID";
    private const int ShortestBeatMilliseconds = 10;

    private readonly Socket? socket;
    private readonly UnixDomainSocketEndPoint? manager;

    /// <summary>Takes the socket and the time limit from the environment.</summary>
    public ServiceManager()
    {
        var path = Environment.GetEnvironmentVariable(SocketVariable);

        if (string.IsNullOrEmpty(path) || path[0] is not ('/' or '@') || OperatingSystem.IsWindows())
            return;

        try
        {
            manager = new UnixDomainSocketEndPoint(path[0] == '@' ? '\0' + path[1..] : path);
            socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        }
        catch (Exception failure) when (failure is ArgumentException or SocketException)
        {
            // Such a manager cannot be told anything.
        }

        BeatInterval = socket is null ? null : IntervalOf(
            Environment.GetEnvironmentVariable(WatchdogVariable), Environment.GetEnvironmentVariable(WatchdogProcessVariable));
    }

    /// <summary>How often the watchdog is told that the process works, half of its time limit; null: there is none for this process.</summary>
    public TimeSpan? BeatInterval { get; }

    /// <summary>The broker listens, also after a reload.</summary>
    public void Ready(string status) => Send($"READY=1\nSTATUS={status}");

    /// <summary>The broker reads its files again; <see cref="Ready"/> has to follow.</summary>
    public void Reloading() =>
        Send($"RELOADING=1\nMONOTONIC_USEC={(long)Stopwatch.GetElapsedTime(0).TotalMicroseconds}");

    /// <summary>The broker shuts down.</summary>
    public void Stopping() => Send("STOPPING=1\nSTATUS=telling the clients");

    /// <summary>Tells the watchdog until this is canceled. It shows that timers and the thread pool of the process work.</summary>
    public async Task BeatAsync(CancellationToken cancellationToken)
    {
        if (BeatInterval is not { } interval)
            return;

        using var timer = new PeriodicTimer(interval);

        try
        {
            do
                Send("WATCHDOG=1");
            while (await timer.WaitForNextTickAsync(cancellationToken));
        }
        catch (OperationCanceledException)
        {
            // The broker is shutting down.
        }
    }

    /// <inheritdoc/>
    public void Dispose() => socket?.Dispose();

    private static TimeSpan? IntervalOf(string? microseconds, string? process)
    {
        if (!ulong.TryParse(microseconds, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) || limit is 0 or > int.MaxValue * 1_000UL)
            return null;

        var isForOther = !string.IsNullOrEmpty(process) && process != Environment.ProcessId.ToString(CultureInfo.InvariantCulture);
        return isForOther ? null : TimeSpan.FromMilliseconds(Math.Max(ShortestBeatMilliseconds, limit / 2_000.0));
    }

    private void Send(string message)
    {
        try
        {
            socket?.SendTo(Encoding.UTF8.GetBytes(message), manager!);
        }
        catch (SocketException)
        {
            // The manager is gone, or does not take it.
        }
    }
}
