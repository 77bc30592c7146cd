using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Mqtt5.Benchmarks;

/// <summary>A broker that runs as a process of its own, on a free port of 127.0.0.1.</summary>
internal sealed class BrokerProcess : IDisposable
{
    public const string Ours = "Mqtt5";
    public const string Old = "old";
    public const string New = "new";
    public const string Mosquitto = "mosquitto";
    public const string MqttNet = "MQTTnet";
    public const string Relay = "relay";

    // As many messages as the other brokers let wait here, and connections. The generator lets more be under way than the
    // command's own limit, and a broker that drops some fails the round.
    private static readonly string[] Limits = ["--max-queued-messages", "100000", "--max-connections", "100000"];

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    private readonly Process process;
    private readonly string? configuration;

    private BrokerProcess(string name, string program, string[] arguments, int port, string? configuration = null)
    {
        Name = name;
        Port = port;
        this.configuration = configuration;
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };

        // What applications on ASP.NET Core have if they choose nothing; the benchmarks themselves have another one.
        if (name == MqttNet)
            start.Environment["DOTNET_gcServer"] = "1";

        process = Process.Start(start)!;
        // The output is discarded: a full pipe would stop the broker.
        process.OutputDataReceived += static (_, _) => { };
        process.ErrorDataReceived += (_, line) =>
        {
            if (name != Mosquitto && line.Data is { } text)
                Console.Error.WriteLine($"{name}: {text}");
        };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Name { get; }

    public int Port { get; }

    public int ProcessId => process.Id;

    /// <summary>The memory that is resident, in bytes.</summary>
    public long ResidentBytes
    {
        get
        {
            process.Refresh();
            return process.WorkingSet64;
        }
    }

    /// <summary>Starts a broker and waits until it listens. Null: it is not installed.</summary>
    public static BrokerProcess? Start(string name, LoadTools tools, BrokerLoadOptions options)
    {
        var port = FreePort();
        var text = port.ToString(CultureInfo.InvariantCulture);
        var broker = name switch
        {
            Relay => new BrokerProcess(name, tools.Relay, [text], port),
            Ours => StartBuild(name, Command(Repository()), port),
            Old => StartBuild(name, Command(options.Old!), port),
            New => StartBuild(name, Command(options.New!), port),
            MqttNet => new BrokerProcess(name, Environment.ProcessPath!, ["mqttnet-broker", text], port),
            Mosquitto => StartMosquitto(port),
            _ => throw new ArgumentException($"no broker is called {name}", nameof(name)),
        };
        broker?.WaitUntilListening();
        return broker;
    }

    public void Dispose()
    {
        if (!process.HasExited)
            process.Kill();

        process.WaitForExit();
        process.Dispose();

        if (configuration is not null)
            File.Delete(configuration);
    }

    private static BrokerProcess? StartMosquitto(int port)
    {
        var folders = $"{Environment.GetEnvironmentVariable("PATH")}:/usr/sbin:/usr/local/sbin".Split(':');
        var program = folders.Select(folder => Path.Combine(folder, Mosquitto)).FirstOrDefault(File.Exists);

        if (program is null)
            return null;

        var file = Path.GetTempFileName();
        File.WriteAllText(file, $"""
            listener {port} 127.0.0.1
            allow_anonymous true
            max_inflight_messages 100
            max_queued_messages 0
            persistence false
            log_dest none

            """);
        return new BrokerProcess(Mosquitto, program, ["-c", file], port, file);
    }

    private static BrokerProcess StartBuild(string name, string command, int port) => new(
        name,
        "dotnet",
        [command, "broker", "--port", port.ToString(CultureInfo.InvariantCulture), "--allow-anonymous", .. Limits],
        port);

    // The folder of a build, or the top of a repository with a Release build.
    private static string Command(string folder)
    {
        string[] places = [Path.Combine(folder, "mqtt5.dll"), Path.Combine(folder, "src/CSharp/Mqtt5.Cli/bin/Release/net10.0/mqtt5.dll")];
        return places.FirstOrDefault(File.Exists)
            ?? throw new InvalidOperationException($"{string.Join(" and ", places)} are not there: build with -c Release");
    }

    private static string Repository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);

        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Mqtt5.sln")))
            folder = folder.Parent;

        return folder?.FullName ?? throw new InvalidOperationException("the benchmarks run within the repository only");
    }

    internal static int FreePort()
    {
        using var probe = new TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return ((IPEndPoint)probe.LocalEndpoint).Port;
    }

    private void WaitUntilListening()
    {
        var started = Stopwatch.GetTimestamp();

        while (true)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);

            try
            {
                socket.Connect(IPAddress.Loopback, Port);
                return;
            }
            catch (SocketException) when (!process.HasExited && Stopwatch.GetElapsedTime(started) < Patience)
            {
                Thread.Sleep(50);
            }
        }
    }
}
