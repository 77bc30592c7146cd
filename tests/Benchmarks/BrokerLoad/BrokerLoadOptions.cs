using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>What <see cref="BrokerLoad"/> was asked for.</summary>
internal sealed class BrokerLoadOptions
{
    public BrokerLoadOptions(string[] arguments)
    {
        for (var index = 0; index < arguments.Length; index++)
        {
            switch (arguments[index])
            {
                case "--brokers": Brokers = Names(arguments[++index]); break;
                case "--loads": Loads = Names(arguments[++index]); break;
                case "--rounds": Rounds = Number(arguments[++index]); break;
                case "--warm": WarmSeconds = double.Parse(arguments[++index], CultureInfo.InvariantCulture); break;
                case "--seconds": Seconds = double.Parse(arguments[++index], CultureInfo.InvariantCulture); break;
                case "--connections": Connections = Number(arguments[++index]); break;
                default: throw new ArgumentException($"unknown option {arguments[index]}", nameof(arguments));
            }
        }
    }

    /// <summary>The brokers to run; null: all that are there.</summary>
    public string[]? Brokers { get; }

    /// <summary>The loads to run; null: all.</summary>
    public string[]? Loads { get; }

    /// <summary>How long each broker gets each load before it counts: what a runtime compiles while it runs is compiled then.</summary>
    public double WarmSeconds { get; } = 4;

    /// <summary>How often each load is run, in turns; the best round counts.</summary>
    public int Rounds { get; } = 3;

    /// <summary>About how long a round lasts.</summary>
    public double Seconds { get; } = 2;

    /// <summary>The idle connections over which memory is taken.</summary>
    public int Connections { get; } = 6_000;

    public bool Wants(LoadKind load) => Loads is null || Loads.Contains(load.Name);

    private static string[] Names(string text) => text.Split(',', StringSplitOptions.TrimEntries);

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
