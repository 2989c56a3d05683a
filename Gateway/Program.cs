using Fanfare.Gateway;
using Fanfare.Gateway.Apis;
using Fanfare.Gateway.Apis.Templates;
using Microsoft.Extensions.Options;

if (new GatewayCommandLine().TryAnswer(args))
{
    return 0;
}

try
{
    await using var app = GatewayApplication.Create(args);
    await GatewayApplication.StartAsync(app);
    StartBanner.Write(
        Console.Out,
        app.Urls,
        app.Services.GetRequiredService<IOptions<GatewayOptions>>().Value.PublicUrl,
        app.Services.GetRequiredService<ServedModel>());
    await app.WaitForShutdownAsync();
    return 0;
}
catch (GatewayStartException e)
{
    Console.Error.WriteLine($"fanfare: {e.Message}");
    return e.ExitCode;
}
catch (TemplateException e)
{
    foreach (var error in e.Errors)
    {
        Console.Error.WriteLine($"fanfare: {error}");
    }

    return 1;
}
catch (OptionsValidationException e)
{
    foreach (var failure in e.Failures)
    {
        Console.Error.WriteLine($"fanfare: {failure}");
    }

    return 1;
}
catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException
    or InvalidOperationException or FormatException)
{
    // A port in use, a file that can't be read, a setting that can't be converted: the message names it.
    var hasReason = e is InvalidOperationException or InvalidDataException && e.InnerException is not null;
    var message = hasReason ? $"{e.Message} {e.GetBaseException().Message}" : e.Message;
    Console.Error.WriteLine($"fanfare: {message.ReplaceLineEndings(" ")}");
    return 1;
}
