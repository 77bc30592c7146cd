using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.BrokerTests;

// The broker as a process that lacks resources: descriptors, a working standard error, a free address.
[Collection("alone")]
public sealed class OperationTests : CommandProcesses
{
    [Theory]
    [InlineData("203.0.113.7", "--host", "203.0.113.7", "--port", "0", "--allow-anonymous")]
    [InlineData("there-is-no-folder/socket", "--unix", "there-is-no-folder/socket")]
    [InlineData("--unix", "--unix", "")]
    [InlineData("--cert", "--tls-port", "0", "--cert", "")]
    [InlineData("too long", "--unix", "/tmp/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789")]
    public async Task What_the_machine_does_not_give_is_told_and_is_no_defect(string message, params string[] arguments)
    {
        var process = StartLimited("true", "", ["broker", .. arguments]);
        var error = await process.StandardError.ReadToEndAsync().Bounded();
        Assert.Contains(message, error, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("defect", error, StringComparison.Ordinal);
        await process.WaitForExitAsync().Bounded();
        Assert.Equal(2, process.ExitCode);
    }

    [Fact]
    public async Task A_full_disk_under_standard_error_does_not_keep_the_broker_from_starting()
    {
        var process = StartLimited("true", "2>/dev/full", "broker", "--port", "0", "--log-level", "trace");
        var address = await ListeningAsync(process);
        await using var client = await ConnectAsync(address);
        await client.PublishAsync("a", "b", QoS.AtLeastOnce).Bounded();
        await TerminateAsync(process, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_full_disk_under_standard_error_does_not_hide_the_exit_code()
    {
        var process = StartLimited("true", "2>/dev/full", "broker", "--port", "65536");
        await process.WaitForExitAsync().Bounded();
        Assert.Equal(2, process.ExitCode);
    }

    [Fact]
    public async Task A_log_pipe_that_is_not_read_holds_up_neither_clients_nor_SIGTERM()
    {
        // Nothing reads standard error.
        var process = StartLimited("true", "", "broker", "--port", "0", "--log-level", "trace");
        var address = await ListeningAsync(process);
        await using var early = await ConnectAsync(address);

        // A pipe takes 64 KiB; this is several times as much.
        for (var round = 0; round < 300; round++)
        {
            await using var client = await ConnectAsync(address);
            await early.PublishAsync("a", "b", QoS.AtLeastOnce).Bounded();
        }

        await TerminateAsync(process, TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData(256, 1_100)]
    [InlineData(1_024, 1_500)]
    [InlineData(4_096, 4_600)]
    public async Task More_connections_than_descriptors_wait_and_the_broker_goes_on(int descriptors, int connections)
    {
        var process = StartLimited($"ulimit -n {descriptors}", "", "broker", "--port", "0", "--max-pending-connections", "5000");
        var address = await ListeningAsync(process);
        _ = process.StandardError.BaseStream.CopyToAsync(Stream.Null);
        var early = await ConnectAsync(address);
        var sockets = new List<Socket>();

        try
        {
            for (var index = 0; index < connections; index++)
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                sockets.Add(socket);

                try
                {
                    socket.Connect(IPAddress.Loopback, address.Port);
                }
                catch (SocketException failure) when (failure.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
                {
                    // The connect continues asynchronously.
                }
            }

            await Task.Delay(TimeSpan.FromSeconds(2));
            Assert.False(process.HasExited);

            // Existing connections are still served.
            await early.PublishAsync("a", "b", QoS.AtLeastOnce).Bounded();

            // A process that cannot accept must not spin: in two seconds it uses less than one second of processor time.
            var before = process.TotalProcessorTime;
            await Task.Delay(TimeSpan.FromSeconds(2));
            process.Refresh();
            Assert.InRange(process.TotalProcessorTime - before, TimeSpan.Zero, TimeSpan.FromSeconds(1));
        }
        finally
        {
            sockets.ForEach(socket => socket.Dispose());
        }

        await using var late = await ConnectAsync(address);
        await late.PublishAsync("a", "b", QoS.AtLeastOnce).Bounded();
        await early.DisposeAsync();
        await TerminateAsync(process, TimeSpan.FromSeconds(10));
    }

    [Theory]
    [InlineData(128)]
    [InlineData(200)]
    [InlineData(512)]
    public async Task Unfinished_packets_beyond_the_memory_end_neither_the_broker_nor_its_clients(int heapMegabytes)
    {
        // 290 MB of CONNECT packets that never end.
        var process = StartLimited($"export DOTNET_GCHeapHardLimit={heapMegabytes * 1024 * 1024:X}", "", "broker", "--port", "0");
        var address = await ListeningAsync(process);
        _ = process.StandardError.BaseStream.CopyToAsync(Stream.Null);
        await using var early = await ConnectAsync(address);
        byte[] unfinished = [0x10, 0xFC, 0xFF, 0x03, .. new byte[65_400]];
        var sockets = new List<Socket>();

        try
        {
            for (var index = 0; index < 4_500; index++)
            {
                var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
                sockets.Add(socket);

                try
                {
                    await socket.ConnectAsync(IPAddress.Loopback, address.Port).Bounded();
                    await socket.SendAsync(unfinished.AsMemory()).Bounded();
                }
                catch (SocketException)
                {
                    // It exceeds the limit, and is closed.
                }
            }

            Assert.False(process.HasExited);
            await early.PublishAsync("a", "b", QoS.AtLeastOnce).Bounded();
            process.Refresh();
            Assert.InRange(process.WorkingSet64, 0, (heapMegabytes + 300L) * 1024 * 1024);
        }
        finally
        {
            sockets.ForEach(socket => socket.Dispose());
        }

        await using var late = await ConnectAsync(address);
        await late.PublishAsync("a", "b", QoS.AtLeastOnce).Bounded();
        await TerminateAsync(process, TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task A_Unix_socket_that_a_crash_left_is_taken_over_but_not_one_that_is_listened_at()
    {
        var socket = Path.Combine(Folder, "mqtt.sock");
        var crashed = StartLimited("true", "", "broker", "--unix", socket);
        await crashed.StandardOutput.ReadLineAsync().Bounded();

        var second = StartLimited("true", "", "broker", "--unix", socket);
        Assert.Contains("in use", await second.StandardError.ReadToEndAsync().Bounded(), StringComparison.Ordinal);
        await second.WaitForExitAsync().Bounded();
        Assert.Equal(2, second.ExitCode);

        crashed.Kill();
        await crashed.WaitForExitAsync().Bounded();
        Assert.True(File.Exists(socket));
        var next = StartLimited("true", "", "broker", "--unix", socket);
        Assert.StartsWith("listening unix:", await next.StandardOutput.ReadLineAsync().Bounded(), StringComparison.Ordinal);
        var options = MqttClientOptions.For($"unix://{socket}");
        await using var client = await MqttClient.ConnectAsync(options).Bounded();
    }

    [Theory]
    [InlineData("0660", UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.GroupWrite)]
    [InlineData("600", UnixFileMode.UserRead | UnixFileMode.UserWrite)]
    public async Task The_permissions_of_a_Unix_socket_are_an_option(string mode, UnixFileMode expected)
    {
        var socket = Path.Combine(Folder, "mqtt.sock");
        var process = StartLimited("true", "", "broker", "--unix", socket, "--unix-mode", mode);
        await process.StandardOutput.ReadLineAsync().Bounded();
        Assert.Equal(expected, OperatingSystem.IsWindows() ? expected : File.GetUnixFileMode(socket));
    }

    [Theory]
    [InlineData(SocketError.AccessDenied, "127.0.0.1:80", "ports below 1024")]
    [InlineData(SocketError.AccessDenied, "127.0.0.1:8080", "permission is missing")]
    [InlineData(SocketError.AddressAlreadyInUse, "127.0.0.1:8080", "the address is in use")]
    [InlineData(SocketError.AddressNotAvailable, "127.0.0.1:8080", "not one of this machine")]
    [InlineData(SocketError.AddressFamilyNotSupported, "[::1]:8080", "no addresses of this kind")]
    public void What_the_machine_refuses_is_told_with_the_address(SocketError error, string endPoint, string reason)
    {
        var said = Hosting.ListenSockets.Describe(IPEndPoint.Parse(endPoint), new SocketException((int)error));
        Assert.Contains(endPoint, said, StringComparison.Ordinal);
        Assert.Contains(reason, said, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Few_descriptors_lower_the_limits_and_one_line_says_so()
    {
        var process = StartLimited("ulimit -n 256", "", "broker", "--port", "0");
        await ListeningAsync(process);
        var line = await process.StandardError.ReadLineAsync().Bounded();
        Assert.Matches("Warning .* 256 descriptors .* max-connections [0-9]+, max-pending-connections [0-9]+$", line);
    }

    [Theory]
    [InlineData(100, 24_000, "max-connections 100, max-pending-connections 100")]
    [InlineData(1_000_000, 200, "max-connections 1600, max-sessions 3200, max-pending-connections 400, max-total-queued-bytes 39321600, max-retained-bytes 13107200, max-total-subscription-bytes 13107200, max-total-will-bytes 6553600, max-total-unparsed-bytes 13107200, max-total-send-buffer-bytes 13107200")]
    [InlineData(1_000_000, 24_000, "")]
    public void Limits_at_their_defaults_are_lowered_to_what_the_machine_has(long connections, long megabytes, string lowered)
    {
        var machine = new MachineLimits(connections, megabytes * 1024 * 1024);
        var limits = new MqttBrokerLimits().ToLimits(machine);
        Assert.Equal(lowered, machine.Lowered);
        Assert.InRange(limits.MaximumConnections, 1, connections);

        // Explicit values are kept.
        var asked = new MqttBrokerLimits { MaximumConnections = 9_999, MaximumSessions = 9_999, PendingConnections = 9_999, TotalQueuedBytes = 999_999_999, RetainedBytes = 99_999_999, TotalSubscriptionBytes = 999_999_999, TotalWillBytes = 999_999_999, TotalUnparsedBytes = 999_999_999, TotalSendBufferBytes = 999_999_999 };
        var other = new MachineLimits(connections, megabytes * 1024 * 1024);
        Assert.Equal(9_999, asked.ToLimits(other).MaximumConnections);
        Assert.Equal("", other.Lowered);
    }

    [Fact]
    public async Task What_is_no_socket_is_left_alone()
    {
        var file = Path.Combine(Folder, "notes");
        await File.WriteAllTextAsync(file, "dear");
        var process = StartLimited("true", "", "broker", "--unix", file);
        Assert.Contains("no socket", await process.StandardError.ReadToEndAsync().Bounded(), StringComparison.Ordinal);
        await process.WaitForExitAsync().Bounded();
        Assert.Equal(2, process.ExitCode);
        Assert.Equal("dear", await File.ReadAllTextAsync(file));
    }

    private static async Task<Uri> ListeningAsync(Process process)
    {
        var line = await process.StandardOutput.ReadLineAsync().Bounded();
        Assert.StartsWith("listening mqtt://", line, StringComparison.Ordinal);
        return new Uri(line!["listening ".Length..]);
    }

    private static Task<MqttClient> ConnectAsync(Uri address)
    {
        var options = MqttClientOptions.For(address);
        options.Reconnect = null;
        return MqttClient.ConnectAsync(options).Bounded();
    }

    private static async Task TerminateAsync(Process process, TimeSpan patience)
    {
        using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
        await process.WaitForExitAsync().WaitAsync(patience);
        Assert.Equal(0, process.ExitCode);
    }
}
