using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Interop.Tests;

// A mosquitto of its own for one test, on a free port of 127.0.0.1, with its files in a folder of its own.
internal sealed class Mosquitto : IAsyncDisposable
{
    private static readonly string[] Folders = ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/usr/bin", "/usr/local/bin"];

    private readonly string configuration;
    private Process? process;

    private Mosquitto(int port, string folder, string configuration)
    {
        Port = port;
        Folder = folder;
        this.configuration = configuration;
    }

    public int Port { get; }

    public string Folder { get; }

    public string Uri => $"mqtt://127.0.0.1:{Port}";

    private static string? Program => Folders.Select(folder => Path.Combine(folder, "mosquitto")).FirstOrDefault(File.Exists);

    // Starts one; the lines go to its configuration, with {port}, {other} and {folder} filled in.
    public static async Task<Mosquitto> StartAsync(string lines = "listener {port} 127.0.0.1\nallow_anonymous true")
    {
        if (Program is null)
        {
            // Where the whole project is checked, a peer that is missing is a failure.
            Assert.False(Environment.GetEnvironmentVariable("CI") == "true", "mosquitto is not installed");
            Assert.Skip("mosquitto is not installed");
        }

        // Another process may take the port before mosquitto does.
        for (var left = 9; ; left--)
        {
            var broker = await ConfigureAsync(lines);

            if (await broker.ListensAsync())
                return broker;

            await broker.DisposeAsync();
            Assert.True(left > 0, "mosquitto does not listen");
        }
    }

    // A place for a file that the configuration names.
    public static async Task<string> WriteAsync(string name, string content)
    {
        var folder = Directory.CreateTempSubdirectory("mqtt5-files-").FullName;
        var path = Path.Combine(folder, name);
        await File.WriteAllTextAsync(path, content);
        return path;
    }

    public async Task StartAgainAsync() => Assert.True(await ListensAsync(), "mosquitto does not listen");

    // Ends it without a chance to save.
    public async Task KillAsync()
    {
        process!.Kill();
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
    }

    // Ends it as an administrator would; it saves what it keeps.
    public async Task StopAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", process!.Id.ToString(CultureInfo.InvariantCulture)]);
        await process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(30));
    }

    public async ValueTask DisposeAsync()
    {
        if (process is { HasExited: false })
            await KillAsync();

        process?.Dispose();
        Directory.Delete(Folder, recursive: true);
    }

    private static async Task<Mosquitto> ConfigureAsync(string lines)
    {
        var port = FreePort();
        var folder = Directory.CreateTempSubdirectory("mqtt5-mosquitto-").FullName;
        var configuration = Path.Combine(folder, "mosquitto.conf");
        var text = lines
            .Replace("{port}", port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{other}", FreePort().ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal)
            .Replace("{folder}", folder, StringComparison.Ordinal);
        // Otherwise a broker that is started as root becomes a user who may not write here.
        await File.WriteAllTextAsync(configuration, $"user root\n{text}\n");
        return new Mosquitto(port, folder, configuration);
    }

    // Starts it; false: it ended at once, or does not listen.
    private async Task<bool> ListensAsync()
    {
        process?.Dispose();
        process = Process.Start(new ProcessStartInfo(Program!, ["-c", configuration])
        {
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        })!;
        process.BeginErrorReadLine();
        process.BeginOutputReadLine();

        for (var left = 1_000; left > 0 && !process.HasExited; left--)
        {
            try
            {
                using var probe = new TcpClient();
                await probe.ConnectAsync(IPAddress.Loopback, Port);
                return !process.HasExited;
            }
            catch (SocketException)
            {
                await Task.Delay(25);
            }
        }

        return false;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
