using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>Numbers as people read them.</summary>
internal static class Figures
{
    private const long Microsecond = 1_000;
    private const long Millisecond = 1_000_000;
    private const long Second = 1_000_000_000;

    /// <summary>A whole number with a comma between thousands.</summary>
    public static string Count(double number) => Math.Round(number).ToString("N0", CultureInfo.InvariantCulture);

    /// <summary>A number and its noun, in the plural unless it is 1.</summary>
    public static string Count(long number, string noun) => $"{Count(number)} {noun}{(number == 1 ? "" : "s")}";

    /// <summary>A duration in nanoseconds, with three digits and the unit that suits.</summary>
    public static string Nanoseconds(long nanoseconds) =>
        nanoseconds switch
        {
            < Microsecond => Invariant($"{nanoseconds} ns"),
            // What rounds to 1,000 of a unit is 1 of the next.
            < Millisecond - (Microsecond / 2) => Scaled(nanoseconds, Microsecond, "µs"),
            < Second - (Millisecond / 2) => Scaled(nanoseconds, Millisecond, "ms"),
            _ => Scaled(nanoseconds, Second, "s"),
        };

    /// <summary>A duration, with three digits and the unit that suits.</summary>
    public static string Duration(TimeSpan duration) => Nanoseconds((long)duration.TotalNanoseconds);

    /// <summary>A duration of settings, in the notation's words: <c>1h</c>, <c>1m30s</c>.</summary>
    public static string Setting(TimeSpan duration) => Notation.PrintDuration((long)duration.TotalMilliseconds);

    private static string Scaled(long value, long unit, string name)
    {
        var scaled = (double)value / unit;
        var digits = scaled < 9.995 ? "0.00" : scaled < 99.95 ? "0.0" : "0";
        return $"{scaled.ToString(digits, CultureInfo.InvariantCulture)} {name}";
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
