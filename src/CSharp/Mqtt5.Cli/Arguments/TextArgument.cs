namespace Mqtt5.Cli;

/// <summary>Parses option values that MQTT sends as text. Errors name the option.</summary>
internal static class TextArgument
{
    /// <summary>A Topic Name.</summary>
    /// <exception cref="UsageException">It is not valid.</exception>
    public static TopicName Topic(string option, string value) => Check(option, value, TopicName.Of);

    /// <summary>A Topic Filter.</summary>
    /// <exception cref="UsageException">It is not valid.</exception>
    public static TopicFilter Filter(string option, string value) => Check(option, value, TopicFilter.Of);

    /// <summary>Any text; null stays null.</summary>
    /// <exception cref="UsageException">It is not UTF-8, too long, or contains a character that MQTT does not
    /// allow.</exception>
    public static string? Text(string option, string? value) =>
        value is null ? null : Check(option, value, text => Utf8String.Of(text).Text);

    private static T Check<T>(string option, string value, Func<string, T> make)
    {
        if (!ByteText.IsText(value))
            throw new UsageException($"{option}: this is not UTF-8");

        try
        {
            return make(value);
        }
        catch (ArgumentException exception)
        {
            throw new UsageException($"{option}: '{value}': {WithoutParameter(exception)}");
        }
    }

    /// <summary>The message of an exception without the parameter name.</summary>
    public static string WithoutParameter(ArgumentException exception) =>
        exception.ParamName is { } name ? exception.Message.Replace($" (Parameter '{name}')", "", StringComparison.Ordinal) : exception.Message;
}
