using System.CommandLine;

namespace Mqtt5.Cli;

/// <summary>Options whose value is the name of a file or directory.</summary>
internal static class FileOption
{
    /// <summary>An option for a file; null if absent. An invalid name is rejected before any work begins.</summary>
    /// <param name="description">What is in the file.</param>
    /// <param name="names">The name, then its aliases.</param>
    public static Option<string?> Of(string description, params string[] names)
    {
        var option = new Option<string?>(names[0], names[1..]) { Description = description, HelpName = "FILE" };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && Complain(result.Tokens[^1].Value) is { } complaint)
                result.AddError($"{names[0]}: {complaint}");
        });
        return option;
    }

    /// <summary>An argument for a file.</summary>
    public static Argument<string> Argument(string name, string description)
    {
        var argument = new Argument<string>(name) { Description = description };
        argument.Validators.Add(result =>
        {
            if (result.Tokens.Count > 0 && Complain(result.Tokens[^1].Value) is { } complaint)
                result.AddError($"{name}: {complaint}");
        });
        return argument;
    }

    private static string? Complain(string name) =>
        name.Length == 0 ? "the name of a file is missing"
        : !ByteText.IsText(name) ? "the name of a file is UTF-8"
        : name.Contains('\0', StringComparison.Ordinal) ? "this cannot be the name of a file"
        : null;
}
