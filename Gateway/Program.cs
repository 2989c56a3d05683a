using Fanfare.Gateway;

return await GatewayProgram.Standalone.RunAsync(args);
