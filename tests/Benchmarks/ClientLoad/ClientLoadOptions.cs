using System.Diagnostics;
using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>What <see cref="ClientLoad"/> was asked for.</summary>
internal sealed class ClientLoadOptions
{
    public ClientLoadOptions(string[] arguments)
    {
        for (var index = 0; index < arguments.Length; index++)
        {
            switch (arguments[index])
            {
                case "--port": Port = Number(arguments[++index]); break;
                case "--qos": QoS = [.. arguments[++index].Split(',').Select(Number)]; break;
                case "--messages": Messages = Number(arguments[++index]); break;
                case "--window": Window = Number(arguments[++index]); break;
                case "--bytes": Payload = new byte[Number(arguments[++index])]; break;
                case "--rounds": Rounds = Number(arguments[++index]); break;
                case "--receive": Receive = true; break;
                case "--server": Server = Process.GetProcessById(Number(arguments[++index])); break;
                case "--ours": OursAlone = true; break;
                default: throw new ArgumentException($"unknown option {arguments[index]}", nameof(arguments));
            }
        }
    }

    public int Port { get; } = 1883;

    /// <summary>The QoS to publish with, one after another.</summary>
    public int[] QoS { get; } = [];

    public int Messages { get; } = 200_000;

    public int Window { get; } = 64;

    public byte[] Payload { get; } = new byte[16];

    public int Rounds { get; } = 3;

    public bool Receive { get; }

    /// <summary>The server's process, to tell how busy it was; null: not told.</summary>
    public Process? Server { get; }

    /// <summary>Whether MQTTnet's client is left out, such as for a profiler.</summary>
    public bool OursAlone { get; }

    /// <summary>The longest that a round may take.</summary>
    public static TimeSpan Limit => TimeSpan.FromSeconds(60);

    public static string Topic => "bench/7/temp";

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
