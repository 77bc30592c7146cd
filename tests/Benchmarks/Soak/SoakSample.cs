using System.Globalization;

namespace Mqtt5.Benchmarks;

/// <summary>What a broker held at one time.</summary>
/// <param name="Live">The bytes that outlived a collection.</param>
/// <param name="WorkingSet">The bytes of the process.</param>
/// <param name="Sessions">The sessions.</param>
/// <param name="Subscriptions">The subscriptions.</param>
/// <param name="Retained">The retained messages.</param>
/// <param name="QueuedBytes">The bytes of messages that it holds for sessions.</param>
/// <param name="Dropped">The messages that it dropped so far.</param>
internal sealed record SoakSample(
    long Live, long WorkingSet, long Sessions, long Subscriptions, long Retained, long QueuedBytes, long Dropped)
{
    /// <summary>As one line.</summary>
    public string Line => string.Join(
        ' ',
        new[] { Live, WorkingSet, Sessions, Subscriptions, Retained, QueuedBytes, Dropped }
            .Select(number => number.ToString(CultureInfo.InvariantCulture)));

    /// <summary>Reads what <see cref="Line"/> wrote.</summary>
    public static SoakSample Of(string line)
    {
        var numbers = Array.ConvertAll(line.Split(' '), part => long.Parse(part, CultureInfo.InvariantCulture));
        return new SoakSample(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6]);
    }
}
