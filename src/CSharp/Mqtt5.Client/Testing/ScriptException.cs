namespace Mqtt5.Testing;

/// <summary>A client did not do what a script expects.</summary>
public sealed class ScriptException : Exception
{
    /// <summary>Makes an exception.</summary>
    public ScriptException()
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What was expected, and what came.</param>
    public ScriptException(string message)
        : base(message)
    {
    }

    /// <summary>Makes an exception.</summary>
    /// <param name="message">What was expected, and what came.</param>
    /// <param name="innerException">Why.</param>
    public ScriptException(string message, Exception? innerException)
        : base(message, innerException)
    {
    }
}
