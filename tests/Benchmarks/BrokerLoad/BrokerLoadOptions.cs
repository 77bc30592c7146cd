using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>What <see cref="BrokerLoad"/> was asked for.</summary>
internal sealed class BrokerLoadOptions
{
    private readonly int? rounds;
    private readonly double? seconds;

    public BrokerLoadOptions(string[] arguments)
    {
        for (var index = 0; index < arguments.Length; index++)
        {
            switch (arguments[index])
            {
                case "--brokers": Brokers = Split(arguments[++index]); break;
                case "--loads": Loads = Split(arguments[++index]); break;
                case "--rounds": rounds = Number(arguments[++index]); break;
                case "--warm": WarmSeconds = double.Parse(arguments[++index], CultureInfo.InvariantCulture); break;
                case "--seconds": seconds = double.Parse(arguments[++index], CultureInfo.InvariantCulture); break;
                case "--connections": Connections = Number(arguments[++index]); break;
                case "--old": Old = arguments[++index]; break;
                case "--new": New = arguments[++index]; break;
                case "--at-least": AtLeast = double.Parse(arguments[++index], CultureInfo.InvariantCulture); break;
                case "--wait": Wait = arguments[++index] is "sleep" or "poll" ? arguments[index] : throw new ArgumentException("--wait is sleep or poll", nameof(arguments)); break;
                default: throw new ArgumentException($"unknown option {arguments[index]}", nameof(arguments));
            }
        }

        if ((Old is null) != (New is null))
            throw new ArgumentException("--old and --new belong together", nameof(arguments));

        if (AtLeast is not null && !InTurns)
            throw new ArgumentException("--at-least compares --new with --old", nameof(arguments));

        Rounds = rounds ?? (InTurns ? 5 : 3);
    }

    /// <summary>The folder of an older build of ours, or a repository with one; null: only one build is measured.</summary>
    public string? Old { get; }

    /// <summary>The folder of a newer build of ours, or a repository with one; null: only one build is measured.</summary>
    public string? New { get; }

    /// <summary>Whether two builds of ours are compared.</summary>
    public bool InTurns => Old is not null;

    /// <summary>The part of each rate of the old build that the new one must have; null: it need not.</summary>
    public double? AtLeast { get; }

    /// <summary>How the generator waits for the next message at a rate: it sleeps, or polls and uses one processor up.</summary>
    public string Wait { get; } = "sleep";

    /// <summary>The brokers to run; null: all that are there.</summary>
    public string[]? Brokers { get; }

    /// <summary>The loads to run; null: all.</summary>
    public string[]? Loads { get; }

    /// <summary>How long each broker gets each load before it counts: what a runtime compiles while it runs is compiled then.</summary>
    public double WarmSeconds { get; } = 4;

    /// <summary>How often each load is run, in turns; the best round counts, or the median where two builds are compared.</summary>
    public int Rounds { get; }

    /// <summary>About how long a round lasts.</summary>
    public double Seconds => seconds ?? 2;

    /// <summary>The idle connections over which memory is taken.</summary>
    public int Connections { get; } = 6_000;

    public bool Wants(LoadKind load) => Loads is null || Loads.Contains(load.Name);

    /// <summary>Whether a load was asked for that is run only when it is named.</summary>
    public bool Names(string load) => Loads?.Contains(load) ?? false;

    /// <summary>How long a round lasts where the figure needs more time than a rate does.</summary>
    public double SecondsOr(double usual) => seconds ?? usual;

    private static string[] Split(string text) => text.Split(',', StringSplitOptions.TrimEntries);

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
