using System.CommandLine;
using System.CommandLine.Completions;
using System.Globalization;

namespace Mqtt5.Cli;

/// <summary>Options whose value is a number in a range.</summary>
internal static class BoundedOption
{
    // Shell completion offers the values of a short range.
    private const int MostSuggestions = 2;

    /// <summary>An option for a whole number; without it, null.</summary>
    /// <param name="description">What it does.</param>
    /// <param name="minimum">The least number.</param>
    /// <param name="maximum">The greatest number.</param>
    /// <param name="names">The name, then the other names.</param>
    public static Option<long?> Of(string description, long minimum, long maximum, params string[] names)
    {
        var option = new Option<long?>(names[0], names[1..]) { Description = description, HelpName = "N" };
        option.CustomParser = result =>
        {
            var text = result.Tokens[^1].Value;

            if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
                && value >= minimum && value <= maximum)
            {
                return value;
            }

            var range = maximum == long.MaxValue ? $"a whole number from {minimum}" : $"a whole number from {minimum} to {maximum}";

            // A password given with -p instead of -P is not shown.
            result.AddError(names.Contains("-p") ? $"{names[0]} is {range}." : $"{names[0]} is {range}, not '{text}'.");
            return null;
        };

        if (maximum - minimum <= MostSuggestions)
            option.CompletionSources.Add(_ => Enumerable.Range((int)minimum, (int)(maximum - minimum) + 1).Select(value => new CompletionItem(value.ToString(CultureInfo.InvariantCulture))));

        return option;
    }
}
